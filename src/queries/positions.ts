/** Tokens, cursors and pages as they come in and go out: signed texts on the outside, payloads on the inside. */
import type { AnyProjection } from '../domain/projection.js';
import { TidemarkError } from '../platform/errors.js';
import type { Signer } from '../platform/signing.js';
import {
  changeLogName,
  type CursorBinding,
  type CursorPayload,
  type PagePayload,
  type ShardSeq,
  type SignedPayload,
  type TokenPayload,
} from '../protocol/positions.js';
import { requestHash, type PageOf } from './list-request.js';
import { fault, invalidParameter } from './parameters.js';

/** Longer texts are refused where they come back in (platform/signing.ts), so they are not given out either. */
const MAX_CHARS = 8_192;

function open(signer: Signer, text: string): SignedPayload | undefined {
  const payload = signer.verify(text);
  // What carries our signature was made by `sign` below, or by its twin in another room: its kind tells its shape.
  return payload === undefined ? undefined : (payload as SignedPayload);
}

/** @throws TidemarkError `invalid_token` */
export function openToken(signer: Signer, text: string): TokenPayload {
  const payload = open(signer, text);
  if (payload?.kind === 'token') return payload;
  const what =
    payload === undefined ? 'not a token of this application, or changed on its way' : `a ${payload.kind}`;
  throw new TidemarkError('invalid_token', `after: expected the token of a command, this is ${what}`, {
    faults: [fault('after', 'expected the token of a command')],
  });
}

export const positionExpired = (message: string): TidemarkError =>
  new TidemarkError('position_expired', message);

/**
 * The page that a listing goes on with.
 * @throws TidemarkError `invalid_cursor` when it is none, or one of another request; `position_expired` when it is of
 *   another version of the projection. The caller compares the epoch.
 */
export function openPage(signer: Signer, projection: AnyProjection, of: PageOf, text: string): PagePayload {
  const payload = open(signer, text);
  const invalid = (message: string): TidemarkError =>
    new TidemarkError('invalid_cursor', `page: ${message}`, { faults: [fault('page', message)] });
  if (payload?.kind !== 'page') throw invalid('expected `next` of an earlier page');
  if (payload.log !== changeLogName(projection.name, projection.version)) {
    if (payload.log.startsWith(`${projection.name}.v`))
      throw positionExpired('page: of another version of the view');
    throw invalid('it belongs to another view');
  }
  if (payload.of !== requestHash(of)) throw invalid('it belongs to another filter, sort or limit');
  return payload;
}

/** @throws TidemarkError `invalid_parameter` when the sort values are too long for a URL */
export function signPage(
  signer: Signer,
  projection: AnyProjection,
  page: {
    readonly of: PageOf;
    readonly epoch: string;
    readonly after: PagePayload['after'];
    readonly pos: readonly ShardSeq[] | undefined;
    readonly window: string | undefined;
  },
): string {
  const payload: PagePayload = {
    kind: 'page',
    log: changeLogName(projection.name, projection.version),
    epoch: page.epoch,
    of: requestHash(page.of),
    after: page.after,
    ...(page.pos ? { pos: page.pos } : {}),
    ...(page.window === undefined ? {} : { window: page.window }),
  };
  const text = signer.sign(payload);
  if (text.length <= MAX_CHARS) return text;
  throw invalidParameter([
    fault('sort', 'the values of these fields are too long to page by; sort by others'),
  ]);
}

/** The cursor of a read, or undefined where it would be too long to be sent back. */
export function signCursor(
  signer: Signer,
  projection: AnyProjection,
  at: {
    readonly epoch: string;
    readonly pos: readonly ShardSeq[];
    readonly bind: CursorBinding;
    readonly window?: string | undefined;
  },
): string | undefined {
  const payload: CursorPayload = {
    kind: 'cursor',
    log: changeLogName(projection.name, projection.version),
    bind: at.bind,
    epoch: at.epoch,
    // A shard that is absent stands at 0.
    pos: at.pos.filter(([, seq]) => seq > 0),
    ...(at.window === undefined ? {} : { window: at.window }),
  };
  const text = signer.sign(payload);
  return text.length <= MAX_CHARS ? text : undefined;
}
