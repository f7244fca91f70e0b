/** Commands: one idempotency key each, kept over all tries, so that however often it is sent, it happens once. */
import { newId } from '../ids.js';
import type { Http } from './calls.js';

export interface SendOptions {
  /** 1–200 printable ASCII characters; made anew for each call unless told otherwise. */
  readonly idempotencyKey?: string;
  /** The version that the stream must be at (`If-Match`); 0: it must have no event yet; '*': it must have one. */
  readonly expectedVersion?: number | '*';
  readonly signal?: AbortSignal;
}

/** The answer to a command. */
export interface CommandResult {
  readonly streamId: string;
  /** Of the stream, after the command. */
  readonly version: number;
  readonly events: readonly { readonly type: string; readonly version: number; readonly eventId: string }[];
  /** Hand it to a read as `after`: what it reads has this command. */
  readonly token: string;
}

function precondition(version: SendOptions['expectedVersion']): Readonly<Record<string, string>> {
  if (version === undefined) return {};
  if (version === 0) return { 'if-none-match': '*' };
  return { 'if-match': version === '*' ? '*' : `"s${version}"` };
}

/** @throws ClientError; `code` is the domain’s where the command was rejected */
export async function sendCommand(
  http: Http,
  path: readonly [aggregate: string, streamId: string, command: string],
  input: unknown,
  options: SendOptions,
): Promise<CommandResult> {
  const { body } = await http.call({
    path: ['commands', ...path],
    body: input ?? {},
    headers: {
      'idempotency-key': options.idempotencyKey ?? newId(),
      ...precondition(options.expectedVersion),
    },
    signal: options.signal,
  });
  return body as CommandResult; // what the contract of HTTP says of a 200
}
