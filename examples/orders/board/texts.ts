/** How the page writes money and times, and what it says when something was refused. */
import { isClientError, type ClientError } from 'tidemark/client';

const MONEY = new Intl.NumberFormat('en', { style: 'currency', currency: 'EUR' });
const CLOCK = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });
const MINUTE = new Intl.DateTimeFormat('en-GB', { timeStyle: 'short' });

export const money = (cents: number): string => MONEY.format(cents / 100);

/** `14:03:07`, in the time zone of whoever looks. */
export const clock = (at: number): string => CLOCK.format(new Date(at));

/** `14:03` */
export const minute = (at: string): string => MINUTE.format(new Date(at));

export const counted = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`;

/** Codes of the domain and of the client; what is not here has a text of the server's. */
const REFUSALS: Readonly<Record<string, string>> = {
  order_already_placed: 'There is an order of this number already.',
  order_already_paid: 'It was paid already.',
  order_already_shipped: 'It was shipped already.',
  order_already_delivered: 'It was delivered already.',
  order_already_cancelled: 'It was cancelled already.',
  order_cancelled: 'It was cancelled.',
  order_not_found: 'There is no such order.',
  order_not_paid: 'It is not paid yet.',
  order_not_shipped: 'It is not shipped yet.',
  forbidden: 'This is not yours to do.',
  unauthenticated: 'The server wants to know who you are.',
  token_expired: 'The time of your token is over.',
  token_revoked: 'Your token is not accepted any more.',
  auth_refused: 'Your token is not accepted any more.',
  network_error: 'The server could not be reached.',
  timeout: 'The server took too long to answer.',
};

/** What went wrong, for people, with its code. */
export function refusal(error: unknown): string {
  if (!isClientError(error)) return 'Something went wrong in this page.';
  return `${REFUSALS[error.code] ?? error.problem?.detail ?? error.message} (${error.code})`;
}

/** Codes after which nobody here knows whether a command happened: it may have arrived, and its answer not. */
const UNKNOWN: ReadonlySet<string> = new Set(['network_error', 'timeout', 'bad_answer', 'outcome_unknown']);

/** It may have happened and may not; sent again under the key that it had, it happens once all the same. */
export const isUnknown = (error: ClientError): boolean => UNKNOWN.has(error.code);
