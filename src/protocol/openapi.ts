/** What rooms say about their routes: OpenAPI 3.1 as plain data. The app puts the document together. */
import { PROBLEMS, type ProblemCode } from './problems.js';

/** Path (`/views/{projection}/{key}`) → method in lower case → Operation Object. Schemas stand inline. */
export type Operations = Readonly<Record<string, Readonly<Record<string, OperationObject>>>>;

/** An Operation Object (https://spec.openapis.org/oas/v3.1.1.html#operation-object). */
export interface OperationObject {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly description?: string;
  readonly parameters?: readonly Readonly<Record<string, unknown>>[];
  readonly requestBody?: Readonly<Record<string, unknown>>;
  readonly responses: Readonly<Record<string, unknown>>;
  /** Security Requirement Objects, in place of the document’s own; empty: none. */
  readonly security?: readonly Readonly<Record<string, readonly string[]>>[];
}

/** Name of the problem schema among the document’s components. */
export const PROBLEM_SCHEMA = 'Problem';

/** What any operation may answer with, beside its own codes. */
const COMMON_PROBLEMS: readonly ProblemCode[] = [
  'invalid_url',
  'invalid_header',
  'forbidden_origin',
  'forbidden_host',
  'method_not_allowed',
  'url_too_long',
  'header_fields_too_large',
  'internal_error',
  'not_ready',
  'database_unavailable',
];

/** What an operation may answer with where rights are on. */
export const RIGHTS_PROBLEMS: readonly ProblemCode[] = [
  'unauthenticated',
  'token_expired',
  'forbidden',
  'rule_failed',
  'auth_unavailable',
];

/**
 * The `responses` of an operation for these problem codes and the common ones, a response per status.
 * @param headers by status: those that come beside the usual ones
 */
export function problemResponses(
  codes: readonly ProblemCode[],
  headers: Readonly<Record<number, object>> = {},
): Record<string, unknown> {
  const byStatus = new Map<number, string[]>();
  const add = (status: number, code: string): void => {
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  };
  for (const code of new Set([...codes, ...COMMON_PROBLEMS])) add(PROBLEMS[code].status, code);
  const sorted = [...byStatus].sort(([a], [b]) => a - b);
  return Object.fromEntries(
    sorted.map(([status, list]) => [
      String(status),
      response(status, list, { ...HEADERS[status], ...headers[status] }),
    ]),
  );
}

const RETRY_AFTER = { 'Retry-After': { description: 'Seconds.', schema: { type: 'integer' } } };
const HEADERS: Readonly<Record<number, object>> = {
  401: {
    'WWW-Authenticate': { description: '`Bearer`, and what is wrong.', schema: { type: 'string' } },
  },
  405: { Allow: { description: 'Methods of the path.', schema: { type: 'string' } } },
  429: RETRY_AFTER,
  503: RETRY_AFTER,
};

function response(status: number, codes: readonly string[], headers: object): Record<string, unknown> {
  return {
    description: codes.map((code) => `\`${code}\``).join(', '),
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
    content: {
      'application/problem+json': {
        schema: {
          allOf: [{ $ref: `#/components/schemas/${PROBLEM_SCHEMA}` }],
          properties: { status: { const: status }, code: { enum: codes } },
        },
      },
    },
  };
}
