/** What the gateway needs from the rest of Tidemark: the change logs, and someone who counts. */
import type { AnyProjection } from '../domain/projection.js';
import type { LogPage } from '../event-store/types.js';
import type { LogHead } from '../platform/postgres/logs.js';
import type { ChangeEntry, RowsSnapshot, SnapshotFilter } from '../projections/types.js';
import type { ResetReason, SocketErrorCode, UnsubReason } from '../protocol/frames.js';
import type { ProblemCode } from '../protocol/problems.js';
import type { AuthFailure } from './access/identities.js';

/** Reads of change logs and their read models. Nothing here is asked per socket: see `followed-log.ts`. */
export interface ChangeSource {
  /** Heads and epochs of these change logs as they are now. */
  heads(logs: readonly string[]): Promise<readonly LogHead[]>;
  /** Entries of one shard after a seq, in order; or word that they were trimmed. */
  readChanges(log: string, shard: number, after: number, limit: number): Promise<LogPage<ChangeEntry>>;
  /** Rows and their position, of one database snapshot, closed when it resolves. */
  readSnapshot(projection: AnyProjection, filter: SnapshotFilter, maxRows: number): Promise<RowsSnapshot>;
}

/** `waiting` for a token that is accepted; `slow`: its client does not read. */
export type SocketState = 'waiting' | 'open' | 'slow';

/** Counts for metrics. Every method is called in the turn in which the thing happened; none may throw. */
export interface GatewayObserver {
  /** @param from undefined: it was opened. @param to undefined: it is closed */
  socketMoved?(from: SocketState | undefined, to: SocketState | undefined): void;
  /** A socket was not let in. */
  refused?(code: ProblemCode): void;
  /** A token was not accepted, or could not be looked at. */
  authFailed?(why: AuthFailure): void;
  /** A right was lost under a subscription. */
  dropped?(view: string, why: UnsubReason): void;
  /** @param code WebSocket close code */
  socketClosed?(code: number): void;
  subscribed?(view: string): void;
  unsubscribed?(view: string): void;
  framesIn?(count: number): void;
  /** @param bytes of one frame; it went to `count` sockets */
  framesOut?(count: number, bytes: number): void;
  /** `left`: it left its topics until it drains; `closed`: it did not drain in time. */
  slowConsumer?(what: 'left' | 'closed'): void;
  /** A subscription got what it missed as changes. @param changes of its channel */
  replayed?(view: string, changes: number): void;
  /** A database snapshot was read (not: given to one more subscriber). */
  snapshotRead?(view: string, rows: number, seconds: number): void;
  /** A window was opened (1) or closed (-1). Its reads are told as snapshots. */
  windows?(view: string, by: 1 | -1): void;
  /** Changes were read again from Postgres because the ring did not reach back so far. */
  backfilled?(view: string, changes: number): void;
  reset?(view: string, reason: ResetReason): void;
  failed?(code: SocketErrorCode): void;
}
