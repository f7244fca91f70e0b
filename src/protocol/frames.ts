/** Frames of the realtime socket (subprotocol `tidemark.v1`): JSON text, one object a frame, `t` names it. */
import type { ShardSeq } from './positions.js';

export const SUBPROTOCOL = 'tidemark.v1';

export type ScalarValue = string | number | boolean | null;
export type Row = Readonly<Record<string, unknown>>;

/** `[key, rev, row]`; `rev` is the seq of the row's last change. */
export type SnapRow = readonly [key: string, rev: number, row: Row];
/** `[key, rev, row]`, row null where there is none (any more). */
export type ChangedRow = readonly [key: string, rev: number, row: Row | null];
/** After seq `p` of this shard of this channel comes everything up to `s`. */
export type ChangePart = readonly [shard: number, p: number, s: number, rows: readonly ChangedRow[]];

/** A position as a client kept it. */
export interface ClientPosition {
  readonly epoch: string;
  readonly pos: readonly ShardSeq[];
}

export interface SubFrame {
  readonly t: 'sub';
  readonly id: string;
  readonly view: string;
  readonly key?: string;
  readonly where?: Readonly<Record<string, ScalarValue>>;
  readonly sort?: string;
  readonly limit?: number;
  /** A `Tidemark-Cursor` from HTTP, or a position as the client kept it. */
  readonly from?: string | ClientPosition;
}
export interface UnsubFrame {
  readonly t: 'unsub';
  readonly id: string;
}
export interface AuthFrame {
  readonly t: 'auth';
  readonly token: string;
}
export interface PingFrame {
  readonly t: 'ping';
}
export type ClientFrame = SubFrame | UnsubFrame | AuthFrame | PingFrame;

export interface SocketLimits {
  readonly maxSubscriptions: number;
  /** Bytes of an inbound frame before `err frame_too_large`. */
  readonly maxFrameBytes: number;
  /** Rows that a snapshot may have before `err too_many_rows`. */
  readonly maxSnapshotRows: number;
}

export type ServerFrame =
  | {
      readonly t: 'welcome';
      readonly session: string;
      readonly heartbeatMs: number;
      readonly limits: SocketLimits;
    }
  | { readonly t: 'snap'; readonly id: string; readonly rows: readonly SnapRow[]; readonly more: boolean }
  | {
      readonly t: 'live';
      readonly id: string;
      readonly ch: number;
      readonly epoch: string;
      readonly pos: readonly ShardSeq[];
    }
  | { readonly t: 'chg'; readonly ch: number; readonly at: number; readonly d: readonly ChangePart[] }
  | { readonly t: 'chg'; readonly id: string; readonly at: number; readonly d: readonly ChangePart[] }
  | { readonly t: 'reset'; readonly id: string; readonly reason: ResetReason }
  | { readonly t: 'unsubbed'; readonly id: string; readonly reason?: UnsubReason; readonly drop?: true }
  | { readonly t: 'authed'; readonly expiresAt: number | null }
  | { readonly t: 'pong' }
  | { readonly t: 'hb'; readonly at: number }
  | { readonly t: 'err'; readonly id?: string; readonly code: SocketErrorCode; readonly message: string }
  | { readonly t: 'bye'; readonly code: number; readonly reconnectInMs: number };

/** Why a subscription starts again from a snapshot. */
export const RESET_REASONS = {
  epoch_changed:
    'The log was rebuilt or restored, or the view has another version, since the position was given out; or it was under other rights.',
  too_far_behind: 'More changes were missed than a replay carries.',
  trimmed: 'The changes after the position were trimmed.',
  position_ahead: 'The position is beyond the end of the log.',
  rights_changed: 'Other rows are the principal’s than before.',
} as const;
export type ResetReason = keyof typeof RESET_REASONS;

/** Why the server ended a subscription; with each of them `drop` says that its rows are nobody’s to show any more. */
export const UNSUB_REASONS = {
  token_expired: 'The token has expired, and no other came in time.',
  token_revoked: 'The token is not accepted any more.',
  forbidden: 'The principal may not see this any more.',
} as const;
export type UnsubReason = keyof typeof UNSUB_REASONS;

/** Codes of `err` frames. `closes` names the close code where the socket is closed after it. */
export const SOCKET_ERRORS = {
  bad_frame: { message: 'The frame is not a JSON object of a known shape.', closes: null },
  unknown_frame: { message: 'The frame’s `t` is unknown.', closes: null },
  binary_frame: { message: 'Frames are JSON text; binary frames are not read.', closes: null },
  frame_too_large: { message: 'The frame is larger than the limit.', closes: null },
  id_in_use: { message: 'A subscription of this id is open; unsub it first.', closes: null },
  unknown_id: { message: 'There is no subscription of this id.', closes: null },
  unknown_view: { message: 'There is no such view.', closes: null },
  invalid_key: { message: 'The key is not a valid row key.', closes: null },
  invalid_filter: {
    message: 'The filter is not exactly one declared tuple of channel fields with values of their types.',
    closes: null,
  },
  invalid_cursor: {
    message: 'The cursor was not made by this application for this very subscription.',
    closes: null,
  },
  invalid_window: {
    message: 'The sort or the limit is not one that the view’s listing takes.',
    closes: null,
  },
  too_many_windows: {
    message: 'The server holds as many windows as it may; subscribe again later, or to less.',
    closes: null,
  },
  too_many_rows: { message: 'The snapshot would have more rows than the limit.', closes: null },
  too_many_subscriptions: { message: 'The socket has as many subscriptions as it may.', closes: null },
  auth_off: { message: 'Rights are off; everyone is `anonymous`.', closes: null },
  auth_refused: { message: 'The token is not accepted.', closes: null },
  auth_unavailable: {
    message: 'The token could not be looked at; the one before goes on. Send it again later.',
    closes: null,
  },
  forbidden: { message: 'The principal may not see this.', closes: null },
  rule_failed: {
    message: 'The application failed at saying what the principal may see.',
    closes: null,
  },
  projection_building: { message: 'The view is being built; subscribe again later.', closes: null },
  unavailable: { message: 'The view cannot be read now; subscribe again.', closes: null },
} as const satisfies Record<string, { readonly message: string; readonly closes: number | null }>;
export type SocketErrorCode = keyof typeof SOCKET_ERRORS;

/** WebSocket close codes: 4000–4499 mean come back, 4500 and up mean don't. */
export const CLOSE_CODES = {
  going_away: { code: 4000, meaning: 'The server stops; come back.' },
  slow_consumer: { code: 4001, meaning: 'The client read too slowly; come back with your positions.' },
  server_error: { code: 4002, meaning: 'The server failed on this socket; come back.' },
  auth_timeout: { code: 4003, meaning: 'No token came in time; come back and send one.' },
  token_expired: { code: 4004, meaning: 'The token has expired; come back with a fresh one.' },
  auth_unavailable: { code: 4005, meaning: 'The token could not be looked at; come back later.' },
  too_many_connections: {
    code: 4006,
    meaning: 'The principal has as many sockets as it may; come back later.',
  },
  frame_too_large: { code: 4500, meaning: 'A frame was far over the limit.' },
  flooding: { code: 4501, meaning: 'The client sends more frames than it may.' },
  unauthenticated: { code: 4502, meaning: 'The token is not accepted; don’t try again with it.' },
} as const;
export type CloseReason = keyof typeof CLOSE_CODES;
