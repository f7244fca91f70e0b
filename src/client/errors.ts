/** The one error of the client. */
import type { Problem } from '../protocol/problems.js';

/** Codes of what never reached a server, or came back from none; every other code is the server’s or the domain’s. */
export const CLIENT_ERRORS = {
  network_error: 'The server could not be reached, or the connection ended before the answer.',
  timeout: 'The answer took too long.',
  aborted: 'The caller gave up.',
  bad_answer: 'What came back is no answer of Tidemark’s; a proxy may have answered.',
  no_websocket: 'There is no WebSocket here; pass one as an option.',
  no_url: 'A relative URL needs a page that it is relative to.',
  unsendable_id: 'The ids "." and "..", and those with half a character, cannot stand in a URL.',
  token_failed: 'The `token` function failed.',
  socket_closed: 'The server closed the socket and asked not to come back.',
  closed: 'The client was closed.',
} as const;
export type ClientErrorCode = keyof typeof CLIENT_ERRORS;

interface ErrorDetails {
  readonly status?: number;
  readonly problem?: Problem;
  readonly retryAfterMs?: number;
  readonly closeCode?: number;
  readonly cause?: unknown;
}

/**
 * What went wrong, with a stable `code`: of the domain for a rejected command, of the catalogues of HTTP and of the
 * socket for what the server refused, of `ClientErrorCode` for what never got so far.
 */
export class ClientError extends Error {
  override readonly name = 'ClientError';
  readonly code: string;
  /** HTTP status, where there was an answer. */
  readonly status: number | undefined;
  /** The whole answer (RFC 9457); `problem.errors` lists the faults of an input. */
  readonly problem: Problem | undefined;
  /** After so long it is worth another try, where the server said so. */
  readonly retryAfterMs: number | undefined;
  /** Of the WebSocket, where it was closed for good, or the token was refused. */
  readonly closeCode: number | undefined;

  constructor(code: string, message: string, details: ErrorDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : {});
    this.code = code;
    this.status = details.status;
    this.problem = details.problem;
    this.retryAfterMs = details.retryAfterMs;
    this.closeCode = details.closeCode;
  }
}

export const clientError = (code: ClientErrorCode, details?: ErrorDetails): ClientError =>
  new ClientError(code, CLIENT_ERRORS[code], details);

export const isClientError = (error: unknown, code?: string): error is ClientError =>
  error instanceof ClientError && (code === undefined || error.code === code);
