/** A line to the gateway: a socket of our own, or the one of another tab. */
import type { ClientFrame, ServerFrame } from '../../protocol/frames.js';
import type { ClientError } from '../errors.js';

/** How a line ended. */
export interface LineEnd {
  /** Close code of the socket; 1006 where there was none. */
  readonly code: number;
  /** When the server wants us back, ms. */
  readonly reconnectInMs?: number | undefined;
  /** What is to be told to people. */
  readonly error?: ClientError | undefined;
}

export interface LineEvents {
  /** Frames may be sent. */
  opened(): void;
  frame(frame: ServerFrame): void;
  /** It is over: nothing comes after this. Not called for who closed it. */
  closed(end: LineEnd): void;
}

export interface Line {
  send(frame: ClientFrame): void;
  /** Finds out soon whether it is still alive. */
  probe(): void;
  close(): void;
}

/** @param refresh the token of the line before was refused */
export type OpenLine = (events: LineEvents, refresh: boolean) => Line;

/** How often the server says something, until it says how often. */
export const HEARTBEAT_MS = 15_000;

/** No close frame came (RFC 6455). */
export const NO_CODE = 1006;

/** The server stops. */
export const LEAVES = 4_000;
/** No token came in time. */
export const LATE = 4_003;
/** The token is over: another one would do. */
export const EXPIRED = 4_004;
/** The token could not be looked at. */
export const AUTH_AWAY = 4_005;
/** The caller has as many connections as it may. */
export const TOO_MANY = 4_006;
/** The token is not accepted, and will not be next time. */
export const NOBODY = 4_502;

/** The line is gone, another is there or soon will be. */
export const MOVED = { code: 1001, reconnectInMs: 0 } as const;
