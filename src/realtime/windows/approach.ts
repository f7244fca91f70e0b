/**
 * How those who come to a window get from what their client has to what the window shows, before they are live. Rows go out
 * in frames of a bounded size, so that a slow client costs no more than its place; the window may change meanwhile.
 */
import { encodeRow, type EncodedPart } from '../encoding.js';
import type { ShownRow } from './differences.js';
import type { Window } from './window.js';

/** A row, or a key that is not in the window. */
type Missed = readonly [key: string, row: ShownRow | undefined];

export class Approach {
  readonly #window: Window;
  readonly #frameBytes: number;
  /** What the client has once everything was sent that waits. */
  #known: ReadonlyMap<string, ShownRow> | undefined;
  #waiting: Missed[] = [];
  /** Of the log when it was found what waits: with the last of it the client is there, however far the log has come since. */
  #to: readonly number[] = [];
  /**
   * What is missed may go out in several frames. Not so where the client could come back with the position of one of them: it
   * would have that of a window which it does not have yet.
   */
  #inParts = false;
  /** Where a client stands that came with a position of its own, shard → seq: parts with rows must go further. */
  #floor: ReadonlyMap<number, number> = new Map();

  constructor(window: Window, frameBytes: number) {
    this.#window = window;
    this.#frameBytes = frameBytes;
  }

  /** It is known what the client has: nothing needs to be read again for it. */
  get isKnown(): boolean {
    return this.#known !== undefined;
  }

  /** The client was sent a snapshot of these rows. Until it is live, it has no position to come back with. */
  snapshotSent(shown: ReadonlyMap<string, ShownRow>): void {
    this.#known = shown;
    this.#waiting = [];
    this.#inParts = true;
    this.#floor = new Map();
  }

  /**
   * The client has the window as it was at a position.
   * @param inParts it learns of no position before it is live. It may know where it stands all the same, as one that comes
   *   back to a stream of events does
   */
  resume(inParts: boolean, at: ReadonlyMap<number, number> = new Map()): void {
    this.#known = undefined;
    this.#waiting = [];
    this.#inParts = inParts;
    this.#floor = new Map(at);
  }

  /**
   * What is to be sent next; none: the client has what the window shows.
   * @param position of the log
   * @param changed keys of the filter that changed since the client's position; only asked where its rows are not known
   * @returns undefined where it cannot be told what the client lacks, or is too much
   */
  next(position: readonly number[], changed: () => ReadonlySet<string>): readonly Missed[] | undefined {
    if (this.#waiting.length > 0) return this.#waiting;
    const { shown } = this.#window;
    const missed = this.#known ? since(this.#known, shown) : this.#window.missed(changed());
    if (!missed) return undefined;
    const waiting = [...missed];
    if (!this.#inParts && bytesOf(waiting) > this.#frameBytes) return undefined;
    this.#known = shown;
    this.#waiting = waiting;
    this.#to = [...position];
    return waiting;
  }

  /**
   * The next frame's parts of what waits. The rows stand in the shard in which the client's position may move on the furthest; and
   * moves on by one as long as more frames follow, as each must go further than the one before.
   * @param base what the client knows to have, shard → seq; moved on
   */
  take(base: Map<number, number>): EncodedPart[] {
    const position = this.#to;
    let shard = 0;
    const has = (of: number): number => Math.max(base.get(of) ?? 0, this.#floor.get(of) ?? 0);
    const ahead = (of: number): number => (position[of] ?? 0) - has(of);
    for (const other of position.keys()) if (ahead(other) > ahead(shard)) shard = other;
    const p = base.get(shard) ?? 0;
    let bytes = 0;
    let count = 0;
    const isLast = !this.#inParts || ahead(shard) <= 1;
    for (const missed of this.#waiting) {
      if (bytes >= this.#frameBytes && !isLast) break;
      bytes += bytesOf([missed]);
      count++;
    }
    const s = count < this.#waiting.length ? has(shard) + 1 : (position[shard] ?? 0);
    const rows = this.#waiting
      .splice(0, count)
      .map(([key, row]) => row?.text ?? encodeRow(key, s, undefined));
    base.set(shard, s);
    const part = { shard, p, s, rows };
    return this.#waiting.length > 0 ? [part] : [part, ...upTo(base, position)];
  }
}

/** Parts with no rows: with the last row, the client is where the log is. */
function upTo(base: Map<number, number>, position: readonly number[]): EncodedPart[] {
  const parts: EncodedPart[] = [];
  for (const [shard, s] of position.entries()) {
    const p = base.get(shard) ?? 0;
    if (p >= s) continue;
    parts.push({ shard, p, s, rows: [] });
    base.set(shard, s);
  }
  return parts;
}

const bytesOf = (missed: readonly Missed[]): number =>
  missed.reduce((sum, [key, row]) => sum + (row?.text.length ?? key.length), 0);

/** What has become other between the two. */
function* since(
  before: ReadonlyMap<string, ShownRow>,
  after: ReadonlyMap<string, ShownRow>,
): Generator<Missed> {
  for (const key of before.keys()) if (!after.has(key)) yield [key, undefined];
  for (const row of after.values()) if (before.get(row.key)?.rev !== row.rev) yield [row.key, row];
}
