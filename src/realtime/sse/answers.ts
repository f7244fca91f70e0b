/** Problems (RFC 9457) on the realtime port, for requests that begin no stream. */
import { PROBLEM_TYPE_PREFIX, PROBLEMS, type Problem } from '../../protocol/problems.js';
import type { Refusal } from '../sockets/port.js';
import type { StreamFault } from './request.js';

type Headers = Readonly<Record<string, string>>;

const RETRY_AFTER_SECONDS = 2;

function headersOf(status: number): Headers {
  if (status === 401) return { 'www-authenticate': 'Bearer' };
  if (status !== 503) return {};
  // Each another, so that those who were refused don't come back together.
  return { 'retry-after': String(RETRY_AFTER_SECONDS + Math.floor(Math.random() * RETRY_AFTER_SECONDS)) };
}

export function problemAnswer({ code, detail, errors }: StreamFault, headers: Headers): Refusal {
  const { status, title } = PROBLEMS[code];
  const problem: Problem = {
    type: PROBLEM_TYPE_PREFIX + code,
    title,
    status,
    detail,
    code,
    ...(errors ? { errors } : {}),
  };
  return {
    status,
    headers: {
      'content-type': 'application/problem+json',
      'cache-control': 'no-store',
      ...headersOf(status),
      ...headers,
    },
    body: JSON.stringify(problem),
  };
}
