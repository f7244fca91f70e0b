/** Why there is no stream, in the words that a socket has for it. */
import type { SocketErrorCode } from '../../protocol/frames.js';
import { isProblem, retryAfterMs } from '../http/problems.js';
import { AUTH_AWAY, EXPIRED, NOBODY, TOO_MANY } from '../socket/line.js';

export interface Refusal {
  /** Undefined: what answered is not a gateway. */
  readonly code: string | undefined;
  readonly message: string;
  readonly retryAfterMs: number | undefined;
  /** The parameter at fault. */
  readonly at: string | undefined;
}

export async function readProblem(response: Response): Promise<Refusal> {
  const body: unknown = await response.json().catch(() => undefined);
  if (response.ok || !isProblem(body))
    return {
      code: undefined,
      message: 'What answered is no gateway of Tidemark’s; a proxy may have.',
      // Of who knows what: a page for people that says "in an hour" is none of ours.
      retryAfterMs: undefined,
      at: undefined,
    };
  return {
    code: body.code,
    message: body.detail,
    retryAfterMs: retryAfterMs(response.headers),
    at: body.errors?.[0]?.path,
  };
}

/** What is wrong with the caller, not with what it asks for. */
const OF_THE_CALLER: Readonly<Record<string, number>> = {
  unauthenticated: NOBODY,
  token_expired: EXPIRED,
  auth_unavailable: AUTH_AWAY,
  too_many_connections: TOO_MANY,
};
/** @returns the close code that a socket has for it; undefined where it is about something else */
export const closeCodeOf = (code: string | undefined): number | undefined =>
  code === undefined ? undefined : OF_THE_CALLER[code];

/** Refusals of one subscription that a socket tells with an `err`; all others are about the way to the gateway. */
const OF_THE_SUBSCRIPTION: ReadonlySet<string> = new Set([
  'unknown_view',
  'invalid_key',
  'invalid_cursor',
  'invalid_parameter',
  'invalid_url',
  'url_too_long',
  'forbidden',
  'rule_failed',
  'projection_building',
]);

/** Parameters whose faults have codes of their own on the socket. */
const OF_PARAMETERS: Readonly<Record<string, SocketErrorCode>> = {
  '/where': 'invalid_filter',
  '/sort': 'invalid_window',
  '/limit': 'invalid_window',
};

/** @returns the code of an `err` frame; undefined where there is no such frame */
export function errorCodeOf({ code, at }: Refusal): string | undefined {
  if (code === undefined || !OF_THE_SUBSCRIPTION.has(code)) return undefined;
  return (code === 'invalid_parameter' && at !== undefined ? OF_PARAMETERS[at] : undefined) ?? code;
}
