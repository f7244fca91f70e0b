/**
 * Where a stream stands in its change log, as the frames that it was given say it, and the cursor of that. It follows the same
 * rule as a client does: `live` says where it is, and each part of a `chg` moves one shard on.
 */
import type { Signer } from '../../platform/signing.js';
import type { ServerFrame } from '../../protocol/frames.js';
import {
  canonicalBinding,
  type CursorPayload,
  type LogPosition,
  type ShardSeq,
} from '../../protocol/positions.js';

type Live = Extract<ServerFrame, { t: 'live' }>;
type Changes = Extract<ServerFrame, { t: 'chg' }>;

export class Place {
  readonly epoch: string;
  readonly #pos: Map<number, number>;

  constructor({ epoch, pos }: LogPosition) {
    this.epoch = epoch;
    this.#pos = new Map(pos);
  }

  get pos(): readonly ShardSeq[] {
    return [...this.#pos];
  }

  /** @param text a `chg` frame of our own making */
  advance(text: string): void {
    const { d } = JSON.parse(text) as Changes;
    for (const [shard, , seq] of d) this.#reach(shard, seq);
  }

  /** The farther of both, shard by shard; of another epoch it is the other that counts. */
  merge(other: Place): Place {
    if (other.epoch !== this.epoch) return new Place(other);
    for (const [shard, seq] of other.#pos) this.#reach(shard, seq);
    return this;
  }

  #reach(shard: number, seq: number): void {
    this.#pos.set(shard, Math.max(seq, this.#pos.get(shard) ?? 0));
  }
}

/** Makes the cursors of all streams that ask for the same and have the same rights. */
export class Cursors {
  /** The same for the same. */
  readonly name: string;
  readonly #signer: Signer;
  readonly #read: Pick<CursorPayload, 'log' | 'bind' | 'window'>;

  /** @param read name of the change log; what the streams ask for, the mark of their rights as its scope; the window's name */
  constructor(signer: Signer, read: Pick<CursorPayload, 'log' | 'bind' | 'window'>) {
    this.name = `${canonicalBinding(read.bind)} ${read.window ?? ''}`;
    this.#signer = signer;
    this.#read = read;
  }

  /** They are of the first rows in an order. */
  get ofWindow(): boolean {
    return this.#read.window !== undefined;
  }

  of({ epoch, pos }: Place): string {
    const payload: CursorPayload = { kind: 'cursor', ...this.#read, epoch, pos };
    return this.#signer.sign(payload);
  }

  /** @param text a `live` frame of our own making: the mark of the rights stands at the end of its epoch */
  placeOf(text: string): Place {
    const { epoch, pos } = JSON.parse(text) as Live;
    return new Place({ epoch: epoch.slice(0, epoch.length - (this.#read.bind.scope?.length ?? 0)), pos });
  }
}
