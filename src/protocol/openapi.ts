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

/**
 * The `responses` of an operation for these problem codes and the common ones, a response per status.
 * @param rejections codes of the domain that come on top, by status
 */
export function problemResponses(
  codes: readonly ProblemCode[],
  rejections: Readonly<Record<number, readonly string[]>> = {},
): Record<string, unknown> {
  const byStatus = new Map<number, string[]>();
  const add = (status: number, code: string): void => {
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  };
  for (const code of new Set([...codes, ...COMMON_PROBLEMS])) add(PROBLEMS[code].status, code);
  for (const [status, list] of Object.entries(rejections)) for (const code of list) add(Number(status), code);
  const sorted = [...byStatus].sort(([a], [b]) => a - b);
  return Object.fromEntries(sorted.map(([status, list]) => [String(status), response(status, list)]));
}

function response(status: number, codes: readonly string[]): Record<string, unknown> {
  const retry = status === 429 || status === 503;
  return {
    description: codes.map((code) => `\`${code}\``).join(', '),
    ...(retry
      ? { headers: { 'Retry-After': { description: 'Seconds.', schema: { type: 'integer' } } } }
      : {}),
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
