/** HTTP calls: the token, a time limit, and trying again what is safe to repeat. */
import { backoffMs } from '../backoff.js';
import { clientError, ClientError, isClientError } from '../errors.js';
import type { Settings } from '../options.js';
import { isProblem, retryAfterMs } from './problems.js';

export interface Call {
  readonly path: readonly string[];
  /** Absent: GET. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly query?: readonly (readonly [name: string, value: string])[];
  readonly signal?: AbortSignal | undefined;
  /** The code of an error that is an answer too: there is nothing. */
  readonly missing?: string;
}

/** A call as it goes out, however often. */
type Sent = Omit<Call, 'path' | 'body'> & { readonly path: string; readonly body: string | undefined };

export interface Answer {
  /** Null where there is nothing, and the call says that there may be. */
  readonly body: unknown;
  readonly headers: Headers;
}

/** What stays as it is until somebody does something about it, though the status says "later". */
const LASTING = new Set(['projection_halted', 'projection_paused', 'row_parked', 'needs_newer_code']);
/** Worth another try: the server is overloaded or restarts, or something between us and it does. */
const PASSING = new Set([408, 429, 502, 503, 504]);

function isPassing(error: unknown): boolean {
  if (!isClientError(error)) return false;
  const { code, status } = error;
  if (status === undefined) return code === 'network_error' || code === 'timeout';
  return (PASSING.has(status) && !LASTING.has(code)) || code === 'stream_conflict';
}

function refusal(status: number, headers: Headers, body: unknown): ClientError {
  const after = retryAfterMs(headers);
  const details = { status, ...(after === undefined ? {} : { retryAfterMs: after }) };
  if (!isProblem(body)) return clientError('bad_answer', details);
  return new ClientError(body.code, body.detail, { ...details, problem: body });
}

/** Resolves after so long. @throws what `signal` was aborted with */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', end);
      resolve();
    }, ms);
    const end = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    signal.addEventListener('abort', end);
  });
}

/** Runs `work` under a signal that is aborted with `timeout`, or with what `outer` is aborted with. */
async function within<T>(
  ms: number | undefined,
  outer: readonly (readonly [AbortSignal | undefined, () => ClientError])[],
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const control = new AbortController();
  const timer = ms === undefined ? undefined : setTimeout(() => control.abort(clientError('timeout')), ms);
  const links = outer.map(([signal, why]) => {
    const end = (): void => control.abort(why());
    if (signal?.aborted) end();
    signal?.addEventListener('abort', end);
    return () => signal?.removeEventListener('abort', end);
  });
  try {
    control.signal.throwIfAborted();
    return await work(control.signal);
  } catch (error) {
    // Whatever a fetch makes of it.
    throw control.signal.aborted ? control.signal.reason : error;
  } finally {
    clearTimeout(timer);
    for (const unlink of links) unlink();
  }
}

export class Http {
  readonly #settings: Settings;
  readonly #closed = new AbortController();
  readonly #refused: (error: ClientError) => void;
  /** So many callers were here before. */
  #callers = 0;

  /** @param refused told when a fresh token of who calls now was refused, too */
  constructor(settings: Settings, refused: (error: ClientError) => void) {
    this.#settings = settings;
    this.#refused = refused;
  }

  /**
   * Only for what may be repeated: a read, or a command with its idempotency key.
   * @throws ClientError; TypeError where the body is no JSON
   */
  async call(call: Call): Promise<Answer> {
    // Told now: what is wrong with them is not the network's fault, and is not mended by trying again.
    const sent: Sent = {
      ...call,
      path: call.path.map(segment).join('/'),
      body: call.body === undefined ? undefined : JSON.stringify(call.body),
    };
    const aborted = (): ClientError => clientError('aborted', { cause: call.signal?.reason });
    const closed = (): ClientError => clientError('closed');
    const enders = [[call.signal, aborted] as const, [this.#closed.signal, closed] as const];
    return within(undefined, enders, (signal) => this.#untilAnswered(sent, signal));
  }

  /** Who calls has changed: what becomes of the calls of before says nothing of it. */
  renew(): void {
    this.#callers++;
  }

  /** What is on its way ends with `closed`. */
  close(): void {
    this.#closed.abort();
  }

  async #untilAnswered(call: Sent, signal: AbortSignal): Promise<Answer> {
    const { attempts, backoff, timeoutMs } = this.#settings;
    const ended = (): ClientError => signal.reason as ClientError; // `call` aborts it with nothing else
    const caller = this.#callers;
    let hasRefreshed = false;
    for (let tries = 1; ; tries++) {
      try {
        const refresh = hasRefreshed;
        return await within(timeoutMs, [[signal, ended]], (either) => this.#try(call, refresh, either));
      } catch (error) {
        if (isClientError(error) && error.status === 401 && error.problem && this.#settings.token) {
          if (hasRefreshed && caller === this.#callers) this.#refused(error);
          if (hasRefreshed) throw error;
          hasRefreshed = true;
          continue;
        }
        if (tries >= attempts || !isPassing(error)) throw error;
        const asked = isClientError(error) ? (error.retryAfterMs ?? 0) : 0;
        // Whoever calls can wait for an hour better than we: it stands in the error.
        if (asked > timeoutMs) throw error;
        await pause(asked + backoffMs(backoff, tries - 1), signal);
      }
    }
  }

  async #try(call: Sent, refresh: boolean, signal: AbortSignal): Promise<Answer> {
    const token = await tokenOf(this.#settings, refresh);
    signal.throwIfAborted();
    try {
      return await this.#send(call, token, signal);
    } catch (error) {
      throw isClientError(error) ? error : clientError('network_error', { cause: error });
    }
  }

  async #send(call: Sent, token: string | null, signal: AbortSignal): Promise<Answer> {
    const query = new URLSearchParams();
    for (const [name, value] of call.query ?? []) query.append(name, value);
    const search = query.size > 0 ? `?${query}` : '';
    const url = `${this.#settings.url}/${call.path}${search}`;
    const sends = call.body !== undefined;
    const response = await this.#settings.fetch(url, {
      method: sends ? 'POST' : 'GET',
      headers: {
        ...(sends ? { 'content-type': 'application/json' } : {}),
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...call.headers,
      },
      ...(sends ? { body: call.body } : {}),
      credentials: this.#settings.credentials,
      signal,
    });
    const text = await response.text();
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch (cause) {
      throw clientError('bad_answer', { status: response.status, cause });
    }
    const { ok, status, headers } = response;
    if (ok) return { body, headers };
    if (call.missing !== undefined && isProblem(body) && body.code === call.missing)
      return { body: null, headers };
    throw refusal(status, headers, body);
  }
}

/** @throws ClientError `unsendable_id`: whatever sends a URL tidies these two away, and half a character has no bytes */
function segment(text: string): string {
  if (text === '.' || text === '..') throw clientError('unsendable_id');
  try {
    return encodeURIComponent(text);
  } catch (cause) {
    throw clientError('unsendable_id', { cause });
  }
}

/** @throws ClientError `token_failed` */
export async function tokenOf({ token }: Pick<Settings, 'token'>, refresh: boolean): Promise<string | null> {
  try {
    return token ? await token({ refresh }) : null;
  } catch (cause) {
    throw clientError('token_failed', { cause });
  }
}
