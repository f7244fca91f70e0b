/**
 * The one catalogue of problem codes: what HTTP answers with, and what clients may switch on.
 * A test finds codes that are thrown and not listed, or listed and never thrown.
 * Shape of an answer: RFC 9457 (application/problem+json).
 */

export interface ProblemEntry {
  /** HTTP status that carries the code. */
  readonly status: number;
  /** Short text that is the same for every occurrence. */
  readonly title: string;
  /** What the caller can do about it. */
  readonly advice: string;
}

const entry = (status: number, title: string, advice: string): ProblemEntry => ({ status, title, advice });

export const PROBLEMS = {
  invalid_json: entry(400, 'The body is not valid JSON', 'Send one JSON value in UTF-8.'),
  invalid_payload: entry(400, 'The payload does not fit its schema', 'Mend the fields listed in `errors`.'),
  invalid_parameter: entry(400, 'A parameter is not valid', 'Mend the parameters listed in `errors`.'),
  invalid_header: entry(400, 'A header is not valid', 'Mend the headers listed in `errors`.'),
  invalid_stream_id: entry(
    400,
    'The stream id is not valid',
    'Use 1–200 code points, not blank, without control characters or unpaired surrogates.',
  ),
  invalid_key: entry(
    400,
    'The row key is not valid',
    'Use 1–200 code points, not blank, without control characters or unpaired surrogates.',
  ),
  invalid_url: entry(400, 'The URL is not valid', 'Percent-encode the path and the query as UTF-8.'),
  invalid_token: entry(
    400,
    'The token is not one of this application',
    'Pass on a `token` from a command’s answer, unchanged.',
  ),
  invalid_cursor: entry(
    400,
    'The cursor is not one of this application',
    'Pass on a `Tidemark-Cursor` or `next`, unchanged, with the same filter.',
  ),
  malformed_request: entry(400, 'The request is not valid HTTP', 'Send HTTP/1.1 as in RFC 9112.'),
  unknown_field: entry(
    400,
    'The view has no such filter or sort field',
    'Use one of the fields that the answer lists.',
  ),
  unauthenticated: entry(
    401,
    'Nobody is known by what was shown',
    'Send a valid token: `Authorization: Bearer <token>`.',
  ),
  token_expired: entry(401, 'The token has expired', 'Get a new token, and send the request again with it.'),
  forbidden: entry(
    403,
    'No rule allows it',
    'Ask for what is yours; who may do what is said in the application’s `auth`.',
  ),
  forbidden_origin: entry(
    403,
    'The Origin is not on the list',
    'Add the page’s origin, which `detail` names, to `TIDEMARK_ORIGINS`.',
  ),
  forbidden_host: entry(
    403,
    'The Host is not one of this server',
    'Call the server by a loopback name, or add the one that `detail` names to `TIDEMARK_HOSTS`.',
  ),
  loopback_only: entry(
    403,
    'Only callers on the same machine may do this',
    'Call /ops/… from the machine itself, by a loopback address and without a proxy.',
  ),
  route_not_found: entry(404, 'There is no such route', 'See /openapi.json for what there is.'),
  unknown_aggregate: entry(404, 'There is no such aggregate', 'Use one of those that the answer lists.'),
  unknown_command: entry(404, 'The aggregate has no such command', 'Use one of those that the answer lists.'),
  unknown_view: entry(404, 'There is no such view', 'Use one of those that the answer lists.'),
  unknown_query: entry(404, 'There is no such query', 'Use one of those that the answer lists.'),
  stream_not_found: entry(
    404,
    'The stream has no event',
    'Check the id; a stream begins with its first event.',
  ),
  row_not_found: entry(404, 'The view has no such row', 'Check the key, or wait for the row with `after`.'),
  unknown_projection: entry(
    404,
    'There is no such projection, or no such version of it',
    'Use one of those that the answer lists.',
  ),
  not_parked: entry(404, 'The key is not parked', 'See `tidemark parked list` for those that are.'),
  version_not_found: entry(
    404,
    'The stream has no such version',
    'Ask for a version up to the stream’s last.',
  ),
  method_not_allowed: entry(405, 'The path does not know this method', 'Use one of the methods in `Allow`.'),
  request_timeout: entry(408, 'The request did not arrive in time', 'Send the whole request without delay.'),
  stream_conflict: entry(409, 'Others write to this stream at the same time', 'Send the command again.'),
  wrong_state: entry(
    409,
    'The projection is not in a state for that',
    'See its state with `tidemark projections list`.',
  ),
  view_has_dependents: entry(
    409,
    'Other views depend on the SQL view',
    'Drop or change those that the answer names, and make them anew after the swap.',
  ),
  view_in_use: entry(
    409,
    'Somebody reads the SQL view for longer than was waited',
    'Try again later, or end the reads that the answer names.',
  ),
  fold_failed_again: entry(
    409,
    'The parked event could not be folded this time either',
    'Mend the fold and deploy it, or skip the event.',
  ),
  position_expired: entry(
    410,
    'The position belongs to an earlier epoch of its log',
    'Read again without it.',
  ),
  precondition_failed: entry(
    412,
    'The stream is not at the version named',
    'Read the stream again and decide anew.',
  ),
  payload_too_large: entry(413, 'The body is too large', 'Send at most 1 MiB.'),
  event_too_large: entry(
    413,
    'An event of this command would be too large',
    'Send less; an event holds at most 512 KiB.',
  ),
  url_too_long: entry(414, 'The URL is too long', 'Shorten the URL, or use POST where there is one.'),
  unsupported_media_type: entry(415, 'The body’s media type is not supported', 'Send application/json.'),
  upgrade_required: entry(
    426,
    'The path is a WebSocket',
    'Open it as a WebSocket, with the subprotocol tidemark.v1.',
  ),
  idempotency_key_reused: entry(
    422,
    'The idempotency key was used with another payload',
    'Use a new key for a new request.',
  ),
  header_fields_too_large: entry(431, 'The headers are too large', 'Send smaller headers.'),
  too_many_requests: entry(429, 'Too many requests are waiting', 'Send again after `Retry-After` seconds.'),
  too_many_connections: entry(
    429,
    'There are too many connections of this address',
    'Close some, or come again after `Retry-After` seconds.',
  ),
  request_aborted: entry(
    499,
    'The client went away before the answer',
    'Nobody reads this answer; it stands in logs and metrics.',
  ),
  internal_error: entry(
    500,
    'The server failed',
    'The operator finds the cause in the log under the request id.',
  ),
  rule_failed: entry(
    500,
    'A rule of the application failed',
    'The operator finds the cause in the log under the request id; nothing was given out.',
  ),
  auth_unavailable: entry(
    503,
    'Who calls cannot be found out now',
    'Send again after `Retry-After` seconds; the operator finds the cause in the log.',
  ),
  not_ready: entry(503, 'This process cannot serve now', 'Send again after `Retry-After` seconds.'),
  overloaded: entry(503, 'The server has too much to do', 'Send again after `Retry-After` seconds.'),
  projection_behind: entry(
    503,
    'The view has not caught up with the token',
    'Send again after `Retry-After` seconds.',
  ),
  projection_halted: entry(
    503,
    'The view’s projection has halted',
    'The operator finds the cause in the log and on /readyz.',
  ),
  projection_building: entry(
    503,
    'The view is being built',
    'Send again after `Retry-After` seconds; /readyz tells how far it is.',
  ),
  projection_paused: entry(
    503,
    'The view’s projection was paused by an operator',
    'Send again later, or without `after`.',
  ),
  row_parked: entry(
    503,
    'The row stands still: an event of it could not be folded',
    'Read without `after` for the row as it was before that event; the operator finds it with `tidemark parked list`.',
  ),
  needs_newer_code: entry(
    503,
    'A stored event is newer than this process',
    'Send again once this process is updated.',
  ),
  outcome_unknown: entry(
    503,
    'It is not known whether the command was accepted',
    'Send it again with the same Idempotency-Key.',
  ),
  context_unavailable: entry(
    503,
    'What the command needs beyond its stream could not be fetched',
    'Send again after `Retry-After` seconds.',
  ),
  database_unavailable: entry(503, 'The database does not answer', 'Send again after `Retry-After` seconds.'),
  query_timeout: entry(503, 'The query took too long', 'Ask for less, or send again later.'),
  event_unreadable: entry(
    500,
    'A stored event fits no schema of this code',
    'The operator finds the event in the log.',
  ),
} as const satisfies Record<string, ProblemEntry>;

/** Every code that Tidemark itself gives out; a rejection’s code is the domain’s and comes on top. */
export type ProblemCode = keyof typeof PROBLEMS;

/** One fault of the input; `path` is a JSON Pointer (RFC 6901) into it. */
export interface InputFault {
  readonly path: string;
  readonly message: string;
}

/** The body of every error answer. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly errors?: readonly InputFault[];
  readonly [extension: string]: unknown;
}

/** `type` of a problem is this and its code. */
export const PROBLEM_TYPE_PREFIX = 'urn:tidemark:problem:';

/** The answer for a code of the catalogue, where nothing more is to be told than `detail`. */
export function problemOf(code: ProblemCode, detail: string): Problem {
  const { status, title } = PROBLEMS[code];
  return { type: PROBLEM_TYPE_PREFIX + code, title, status, detail, code };
}

export const isProblemCode = (code: string): code is ProblemCode => Object.hasOwn(PROBLEMS, code);
