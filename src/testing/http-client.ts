/** Calls a running application over HTTP, as any client would; an error answer is thrown as `ProblemError`. */
import type { Problem } from '../protocol/problems.js';

/** An answer that is no success. `code` is the domain’s for a rejected command, else one of the catalogue. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly code: string;
  readonly status: number;
  readonly problem: Problem;

  constructor(call: string, problem: Problem) {
    const faults = problem.errors?.map(({ path, message }) => `${path || '(root)'}: ${message}`).join('; ');
    super(`${call}: ${problem.status} ${problem.code}: ${problem.detail}${faults ? ` (${faults})` : ''}`);
    this.code = problem.code;
    this.status = problem.status;
    this.problem = problem;
  }
}

export interface Call {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly query?: readonly (readonly [name: string, value: string])[];
}

/**
 * @param path segments, percent-encoded here
 * @throws ProblemError for every answer that is no success
 */
export async function callHttp(base: string, path: readonly string[], call: Call = {}): Promise<unknown> {
  const url = new URL(`${base}/${path.map(encodeURIComponent).join('/')}`);
  for (const [name, value] of call.query ?? []) url.searchParams.append(name, value);
  const sends = call.body !== undefined;
  const response = await fetch(url, {
    method: sends ? 'POST' : 'GET',
    headers: { ...(sends ? { 'content-type': 'application/json' } : {}), ...call.headers },
    ...(sends ? { body: JSON.stringify(call.body) } : {}),
  });
  const answer: unknown = await response.json();
  if (!response.ok) throw new ProblemError(`${sends ? 'POST' : 'GET'} ${url.pathname}`, answer as Problem);
  return answer;
}
