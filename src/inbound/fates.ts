/** What a command’s error means for its record: done already, worth another try, or never. */
import { isTidemarkError } from '../platform/errors.js';

/**
 * `done` it ran before · `later` it will pass, however long that takes, and what comes after it waits ·
 * `perhaps` the application’s own code or what it needs failed: tried a bounded number of times · `never`.
 */
export type Fate = 'done' | 'later' | 'perhaps' | 'never';

const FATES: Readonly<Record<string, Fate>> = {
  // The handler’s code is another since then; what it asked for was done.
  idempotency_key_reused: 'done',
  database_unavailable: 'later',
  outcome_unknown: 'later',
  overloaded: 'later',
  too_many_requests: 'later',
  not_ready: 'later',
  stream_conflict: 'later',
  // A newer process takes the partition over, or this one is updated.
  needs_newer_code: 'later',
  context_unavailable: 'perhaps',
  event_unreadable: 'perhaps',
  internal_error: 'perhaps',
  invalid_payload: 'never',
  invalid_stream_id: 'never',
  event_too_large: 'never',
};

export const codeOf = (error: unknown): string => (isTidemarkError(error) ? error.code : 'internal_error');

export function fateOf(error: unknown): Fate {
  if (!isTidemarkError(error)) return 'perhaps';
  // A domain’s own code may have the name of one of ours.
  if (error.rejection !== undefined) return 'never';
  return (Object.hasOwn(FATES, error.code) ? FATES[error.code] : undefined) ?? 'perhaps';
}
