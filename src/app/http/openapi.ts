/** Puts the OpenAPI document together from what the rooms say of their routes, and serves it with a page to read it by. */
import type { FastifyInstance } from 'fastify';
import fastifySwagger, { type StaticDocumentSpec } from '@fastify/swagger';
import fastifySwaggerUi from '@fastify/swagger-ui';
import { PROBLEM_SCHEMA, type Operations } from '../../protocol/openapi.js';
import { PROBLEMS } from '../../protocol/problems.js';

export interface DocumentInfo {
  /** Name of the application. */
  readonly title: string;
  readonly version: string;
  /** Where rights are on. */
  readonly security?: Security | undefined;
}

export interface Security {
  readonly schemes: Readonly<Record<string, object>>;
  /** Security Requirement Objects: one of them is enough. */
  readonly requirements: readonly Readonly<Record<string, readonly string[]>>[];
}

const PROBLEM = {
  type: 'object',
  description: 'RFC 9457 problem details.',
  required: ['type', 'title', 'status', 'detail', 'code'],
  properties: {
    type: { type: 'string', format: 'uri' },
    title: { type: 'string', description: 'The same for every occurrence.' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    code: {
      type: 'string',
      pattern: '^[a-z][a-z0-9_]*$',
      description: 'Stable; what a client may switch on.',
    },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        required: ['path', 'message'],
        properties: {
          path: { type: 'string', description: 'JSON Pointer into the input.' },
          message: { type: 'string' },
        },
      },
    },
  },
} as const;

function describeProblems(): string {
  const rows = Object.entries(PROBLEMS).map(
    ([code, { status, title, advice }]) => `| \`${code}\` | ${status} | ${title} | ${advice} |`,
  );
  return ['| code | status | meaning | what to do |', '|-|-|-|-|', ...rows].join('\n');
}

/** Every code of the catalogue as a response of its own, so that the document lists them all. */
function problemComponents(): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(PROBLEMS).map(([code, { status, title, advice }]) => [
      code,
      {
        description: `${title}. ${advice}`,
        content: {
          'application/problem+json': {
            schema: {
              allOf: [{ $ref: `#/components/schemas/${PROBLEM_SCHEMA}` }],
              properties: { status: { const: status }, code: { const: code } },
            },
          },
        },
      },
    ]),
  );
}

/**
 * @param operations of all rooms; a path that two of them name has the methods of both
 * @returns an OpenAPI 3.1 document as plain data
 */
export function openApiDocument(
  info: DocumentInfo,
  operations: readonly Operations[],
): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  const { security, ...about } = info;
  for (const room of operations) {
    for (const [path, item] of Object.entries(room)) paths[path] = { ...paths[path], ...item };
  }
  return {
    openapi: '3.1.1',
    info: { ...about, description: `Errors are problem+json (RFC 9457):\n\n${describeProblems()}` },
    servers: [{ url: '/' }],
    paths,
    ...(security ? { security: security.requirements } : {}),
    components: {
      schemas: { [PROBLEM_SCHEMA]: PROBLEM },
      responses: problemComponents(),
      ...(security ? { securitySchemes: security.schemes } : {}),
    },
  };
}

/** Everything from this server: no CDN, no validator elsewhere, nothing inline but styles. */
const CSP = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export interface Documents {
  readonly openApi: Record<string, unknown>;
  readonly asyncApi: Readonly<Record<string, unknown>>;
}

/** Serves `/openapi.json`, `/asyncapi.json` and the page at `/docs`. */
export async function serveDocs(
  server: FastifyInstance,
  { openApi: document, asyncApi }: Documents,
): Promise<void> {
  for (const [path, one] of Object.entries({ '/openapi.json': document, '/asyncapi.json': asyncApi })) {
    const text = JSON.stringify(one);
    server.get(path, (_request, reply) => reply.type('application/json').send(text));
  }
  await server.register(fastifySwagger, {
    mode: 'static',
    // Typed for OpenAPI 3.0 only, and handed on unread; a validator checks the document in the tests.
    specification: { document: document as unknown as StaticDocumentSpec['document'] },
  });
  await server.register(fastifySwaggerUi, {
    routePrefix: '/docs',
    staticCSP: CSP,
    uiConfig: { validatorUrl: null, displayRequestDuration: true, tryItOutEnabled: true },
  });
}
