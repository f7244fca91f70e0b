/**
 * What came from Kafka for one shard and is not handled yet: records without a hole, bounded by whoever fills it. Kept as
 * records and made entries when they are read, so that no two readers share what they may change.
 */
import { bytesOf, ownBytes, ownHeaders } from './own-memory.js';
import type { IncomingRecord } from './records.js';

interface Kept {
  readonly seq: number;
  readonly bytes: number;
  readonly record: IncomingRecord;
}

/** What became of a record: it follows, it was here before, or records are missing before it. */
export type Arrival = 'next' | 'repeat' | 'gap';

export class Inbox {
  #kept: Kept[] = [];
  #bytes = 0;
  /** Of the last record that came, since it was last emptied for good. */
  #last: number | undefined;

  /** Bytes of what is kept, about. */
  get bytes(): number {
    return this.#bytes;
  }

  get count(): number {
    return this.#kept.length;
  }

  /** Seq of the newest record; undefined before the first, and after `drop`. */
  get last(): number | undefined {
    return this.#last;
  }

  /**
   * Takes a record. After a gap, what is kept begins with it.
   * @param own it may have to wait for long, and is kept in memory of its own
   */
  offer(seq: number, record: IncomingRecord, own = false): Arrival {
    const last = this.#last;
    if (last !== undefined && seq <= last) return 'repeat';
    const gap = last !== undefined && seq > last + 1;
    if (gap) this.#empty();
    const { key, value, headers } = record;
    const bytes = bytesOf(record);
    const kept = own ? { key: ownBytes(key), value: ownBytes(value), headers: ownHeaders(headers) } : record;
    this.#kept.push({ seq, bytes, record: kept });
    this.#bytes += bytes;
    this.#last = seq;
    return gap ? 'gap' : 'next';
  }

  /** It has the record after a seq. */
  covers(after: number): boolean {
    const first = this.#kept[0]?.seq;
    return first !== undefined && first <= after + 1 && (this.#last ?? 0) > after;
  }

  /** The records after a seq that it covers, in order. */
  after(after: number, limit: number): readonly { readonly seq: number; readonly record: IncomingRecord }[] {
    const first = this.#kept[0]?.seq ?? 0;
    const begin = after + 1 - first;
    return begin < 0 ? [] : this.#kept.slice(begin, begin + limit);
  }

  /** Forgets the records up to a seq; the next one is still expected after the last. */
  trim(upto: number): void {
    const first = this.#kept[0]?.seq;
    if (first === undefined || first > upto) return;
    for (const { bytes } of this.#kept.splice(0, upto - first + 1)) this.#bytes -= bytes;
  }

  /** Forgets all: what comes next is the beginning. */
  drop(): void {
    this.#empty();
    this.#last = undefined;
  }

  #empty(): void {
    this.#kept = [];
    this.#bytes = 0;
  }
}
