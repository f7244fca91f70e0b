/**
 * Where a stream stands in its change log, as the frames that it was given say it, and the cursor of that. It follows the same
 * rule as a client does: `live` says where it is, and each part of a `chg` moves one shard on.
 */
import type { Signer } from '../../platform/signing.js';
import type { ServerFrame } from '../../protocol/frames.js';
import {
  canonicalBinding,
  type CursorBinding,
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
  readonly #log: string;
  readonly #bind: CursorBinding;

  /** @param log name of the change log. @param bind what the streams ask for, and the mark of their rights as its scope */
  constructor(signer: Signer, log: string, bind: CursorBinding) {
    this.name = canonicalBinding(bind);
    this.#signer = signer;
    this.#log = log;
    this.#bind = bind;
  }

  of({ epoch, pos }: Place): string {
    const payload: CursorPayload = { kind: 'cursor', log: this.#log, bind: this.#bind, epoch, pos };
    return this.#signer.sign(payload);
  }

  /** @param text a `live` frame of our own making: the mark of the rights stands at the end of its epoch */
  placeOf(text: string): Place {
    const { epoch, pos } = JSON.parse(text) as Live;
    return new Place({ epoch: epoch.slice(0, epoch.length - (this.#bind.scope?.length ?? 0)), pos });
  }
}
