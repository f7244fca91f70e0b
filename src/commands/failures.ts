/** What goes wrong while a command is decided, as the error that its caller gets. Causes stay in `cause`, for the log. */
import { DomainError } from '../domain/errors.js';
import type { Rejection } from '../domain/decisions.js';
import { isTidemarkError, TidemarkError } from '../platform/errors.js';
import { isTimeout, isUnavailable } from '../platform/postgres/sqlstate.js';

const NEWER_CODE_RETRY_SECONDS = 5;

/** Reads of the event store give the driver’s errors as they are: what they mean is said here, and nothing is hidden. */
export async function fromStore<T>(read: Promise<T>): Promise<T> {
  try {
    return await read;
  } catch (cause) {
    if (isUnavailable(cause) || isTimeout(cause)) {
      throw new TidemarkError('database_unavailable', 'the database did not answer', {
        cause,
        retryAfter: 1,
      });
    }
    throw cause;
  }
}

/** Turns what domain code or stored data threw into a coded error; errors that have a code pass. */
export function asFailure(thrown: unknown, what: string): TidemarkError {
  if (isTidemarkError(thrown)) return thrown;
  if (thrown instanceof DomainError && thrown.code === 'needs_newer_code') {
    return new TidemarkError('needs_newer_code', 'the stream has an event that is newer than this process', {
      cause: thrown,
      retryAfter: NEWER_CODE_RETRY_SECONDS,
    });
  }
  if (thrown instanceof DomainError && thrown.code === 'event_unreadable') {
    return new TidemarkError('event_unreadable', thrown.message, { cause: thrown });
  }
  return new TidemarkError('internal_error', `${what} failed`, { cause: thrown });
}

export const rejected = (rejection: Rejection): TidemarkError =>
  new TidemarkError(rejection.code, rejection.detail ?? `the command was rejected: ${rejection.code}`, {
    rejection: rejection.as,
  });

/** Postgres refused the data: what slipped through every check before it. */
export const refusedByStore = (cause: TidemarkError): TidemarkError =>
  new TidemarkError('invalid_payload', 'the database cannot hold what this payload leads to', {
    cause,
    faults: [{ path: '', message: 'leads to data that the database refuses' }],
  });

export const streamConflict = (attempts: number): TidemarkError =>
  new TidemarkError(
    'stream_conflict',
    `others wrote to the stream each of the ${attempts} times that the command was decided`,
    { retryAfter: 1 },
  );

export const preconditionFailed = (version: number): TidemarkError =>
  new TidemarkError('precondition_failed', `the stream is at version ${version}`, { extra: { version } });
