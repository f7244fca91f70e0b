/** Server frames as text. Rows are spliced in as the JSON text that Postgres holds: never parsed, never encoded again. */
import {
  SOCKET_ERRORS,
  type ResetReason,
  type ServerFrame,
  type SocketErrorCode,
} from '../protocol/frames.js';
import type { ShardSeq } from '../protocol/positions.js';

/** A part of a `chg` frame, its rows encoded. */
export interface EncodedPart {
  readonly shard: number;
  /** After this seq … */
  readonly p: number;
  /** … comes everything up to this one. */
  readonly s: number;
  readonly rows: readonly string[];
}

/** Frames without rows. */
export const encodeFrame = (frame: ServerFrame): string => JSON.stringify(frame);

/** `[key, rev, row]`. @param row JSON text; undefined: there is none any more */
export const encodeRow = (key: string, rev: number, row: string | undefined): string =>
  `[${JSON.stringify(key)},${rev},${row ?? 'null'}]`;

/** @param rows `[key, rev, row]` joined by commas */
export const encodeSnap = (id: string, rows: string, more: boolean): string =>
  `{"t":"snap","id":${JSON.stringify(id)},"rows":[${rows}],"more":${more}}`;

/** @param to a channel of this process, or one subscription that is being brought up */
export function encodeChanges(
  to: { readonly ch: number } | { readonly id: string },
  at: number,
  parts: readonly EncodedPart[],
): string {
  const address = 'ch' in to ? `"ch":${to.ch}` : `"id":${JSON.stringify(to.id)}`;
  const d = parts.map(({ shard, p, s, rows }) => `[${shard},${p},${s},[${rows.join(',')}]]`);
  return `{"t":"chg",${address},"at":${at},"d":[${d.join(',')}]}`;
}

export const encodeLive = (id: string, ch: number, epoch: string, pos: readonly ShardSeq[]): string =>
  encodeFrame({ t: 'live', id, ch, epoch, pos });

export const encodeReset = (id: string, reason: ResetReason): string =>
  encodeFrame({ t: 'reset', id, reason });

/** @param id undefined when the frame was not about one subscription */
export const encodeError = (id: string | undefined, code: SocketErrorCode, message?: string): string =>
  encodeFrame({
    t: 'err',
    ...(id === undefined ? {} : { id }),
    code,
    message: message ?? SOCKET_ERRORS[code].message,
  });
