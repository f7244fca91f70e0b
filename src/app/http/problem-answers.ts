/** Turns whatever was thrown into an RFC 9457 answer. The only place that knows both the errors and their statuses. */
import { DomainError } from '../../domain/errors.js';
import { isTidemarkError, type RejectionKind, type TidemarkError } from '../../platform/errors.js';
import { isTimeout, isUnavailable } from '../../platform/postgres/sqlstate.js';
import {
  isProblemCode,
  PROBLEM_TYPE_PREFIX,
  PROBLEMS,
  type InputFault,
  type Problem,
  type ProblemCode,
} from '../../protocol/problems.js';

export const PROBLEM_MEDIA_TYPE = 'application/problem+json';
const REJECTION_STATUS: Readonly<Record<RejectionKind, number>> = {
  conflict: 409,
  not_found: 404,
  invalid: 422,
};

export interface ProblemAnswer {
  readonly problem: Problem;
  readonly headers: Readonly<Record<string, string>>;
  /** The thrown thing is for the log: the answer does not tell the cause. */
  readonly unexpected: boolean;
}

interface Details {
  readonly detail?: string;
  readonly faults?: readonly InputFault[] | undefined;
  readonly retryAfter?: number | undefined;
  readonly extra?: Readonly<Record<string, unknown>> | undefined;
}

function build(
  code: string,
  status: number,
  title: string,
  details: Details,
  unexpected = false,
): ProblemAnswer {
  const retryAfter = details.retryAfter ?? (status === 429 || status === 503 ? 1 : undefined);
  return {
    problem: {
      ...details.extra,
      type: PROBLEM_TYPE_PREFIX + code,
      title,
      status,
      detail: details.detail ?? title,
      code,
      ...(details.faults === undefined ? {} : { errors: details.faults }),
    },
    headers: retryAfter === undefined ? {} : { 'retry-after': String(Math.max(1, Math.ceil(retryAfter))) },
    unexpected,
  };
}

/** The answer for a code of the catalogue. */
export function problemFor(code: ProblemCode, details: Details = {}, unexpected = false): ProblemAnswer {
  const { status, title } = PROBLEMS[code];
  return build(code, status, title, details, unexpected);
}

function fromTidemark(error: TidemarkError, requestId: string): ProblemAnswer {
  const details = {
    detail: error.message,
    faults: error.faults,
    retryAfter: error.retryAfter,
    extra: error.extra,
  };
  if (error.rejection !== undefined) {
    return build(error.code, REJECTION_STATUS[error.rejection], 'The command was rejected', details);
  }
  // A code that is in no catalogue was not meant for the outside, nor was its text.
  if (!isProblemCode(error.code)) return internal(requestId);
  const unexpected = PROBLEMS[error.code].status === 500;
  return unexpected ? internal(requestId, error.code) : problemFor(error.code, details);
}

function internal(requestId: string, code: ProblemCode = 'internal_error'): ProblemAnswer {
  const detail = `${PROBLEMS[code].title}; the log has the cause under request ${requestId}`;
  return problemFor(code, { detail, extra: { requestId } }, true);
}

/** What fastify itself throws, by its codes (https://fastify.dev/docs/latest/Reference/Errors/). */
const FASTIFY_CODES: Readonly<Record<string, ProblemCode>> = {
  FST_ERR_BAD_URL: 'invalid_url',
  FST_ERR_MAX_PARAM_LENGTH: 'url_too_long',
  FST_ERR_CTP_BODY_TOO_LARGE: 'payload_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'invalid_header',
  FST_ERR_ROUTE_MISSING_CONTENT_TYPE: 'unsupported_media_type',
};

function codeOf(thrown: unknown): string | undefined {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}

/**
 * @param thrown anything
 * @param requestId stands in answers that hide their cause, so that the log line can be found
 */
export function toProblem(thrown: unknown, requestId: string): ProblemAnswer {
  if (isTidemarkError(thrown)) return fromTidemark(thrown, requestId);
  if (thrown instanceof DomainError) {
    if (thrown.code === 'needs_newer_code') return problemFor('needs_newer_code', { retryAfter: 5 });
    return internal(requestId, thrown.code === 'event_unreadable' ? 'event_unreadable' : 'internal_error');
  }
  const known = FASTIFY_CODES[codeOf(thrown) ?? ''];
  if (known !== undefined)
    return problemFor(known, { detail: `${PROBLEMS[known].title}. ${PROBLEMS[known].advice}` });
  if (isUnavailable(thrown)) return problemFor('database_unavailable', {}, true);
  if (isTimeout(thrown)) return problemFor('query_timeout', {}, true);
  return internal(requestId);
}
