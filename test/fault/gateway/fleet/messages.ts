/** What goes between a run and a process of its subscribers. */
import type { SubFrame } from '../../../../src/protocol/frames.js';

/** What a subscriber watches. */
export interface Watched extends Omit<SubFrame, 't' | 'id' | 'from'> {
  /** `<who>/<number>`, where there are rights. */
  readonly token?: string;
}

export interface Order {
  readonly url: string;
  readonly shards: number;
  readonly watchers: readonly Watched[];
  /** A connection on which nothing came for so long is given up, ms. */
  readonly silenceMs: number;
}

export type ToFleet =
  | { readonly t: 'begin'; readonly order: Order }
  /** The server has moved. */
  | { readonly t: 'moved'; readonly url: string }
  /** Who shows a token of `who` shows this one from now on; in place, or when it connects next, which it does at once if it was put out. */
  | { readonly t: 'token'; readonly who: string; readonly token: string; readonly inPlace: boolean }
  /** Every connection is cut, and all come back at once. */
  | { readonly t: 'cut' }
  | { readonly t: 'status'; readonly heads: Heads }
  | { readonly t: 'report' };

/** View → head by shard. */
export type Heads = Readonly<Record<string, readonly number[]>>;

export interface Status {
  readonly t: 'status';
  readonly live: number;
  /** Live, and told of everything up to the heads. */
  readonly settled: number;
  /** Lost the right to see what they saw, and dropped it. */
  readonly out: number;
}

/** A change as it was applied: shard, revision, key, and whether there was no row any more. */
export type Applied = readonly [shard: number, rev: number, key: string, gone: 0 | 1];

export interface WatcherReport {
  readonly watched: Watched;
  /** Since the last snapshot. */
  readonly applied: readonly Applied[];
  /** Position at which it was live first after its last snapshot, shard → seq. */
  readonly liveAt: readonly (readonly [shard: number, seq: number])[];
  /** Key → revision and digest of the row. */
  readonly rows: readonly (readonly [key: string, rev: number, digest: string])[];
  readonly resets: readonly string[];
  readonly faults: readonly string[];
  readonly connections: number;
  /** Parts that said what was known already. */
  readonly repeats: number;
}

export interface Report {
  readonly t: 'report';
  readonly watchers: readonly WatcherReport[];
}

export type FromFleet = Status | Report;
