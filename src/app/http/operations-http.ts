/** What every process answers on PORT, whatever its roles: is it alive, can it serve, what does it measure. */
import type { FastifyInstance } from 'fastify';
import { PROJECTION_STATES, type ProjectionState } from '../../projections/states.js';
import type { BuildProgress } from '../../projections/types.js';
import { problemResponses, type Operations } from '../../protocol/openapi.js';
import type { MetricsRegistry } from '../metrics/registry.js';

export interface Readiness {
  /** False only when this process cannot serve. */
  readonly ready: boolean;
  readonly roles: readonly string[];
  /** By name. `lag`: events behind the heads, never clamped; null where it cannot be told now. */
  readonly projections: Readonly<Record<string, ProjectionReadiness>>;
  /** What is not as it should be, and why; a halted projection is among it, though the process is ready. */
  readonly reasons: readonly string[];
}

export interface ProjectionReadiness {
  readonly state: ProjectionState;
  readonly version: number;
  readonly lag: number | null;
  /** This process may read it. */
  readonly ready: boolean;
  /** While its rows are being loaded. */
  readonly progress?: BuildProgress;
}

export interface OperationsRouteDeps {
  readonly metrics: MetricsRegistry;
  readiness(): Promise<Readiness>;
}

export function registerOperationsRoutes(server: FastifyInstance, deps: OperationsRouteDeps): void {
  server.get('/livez', (_request, reply) => reply.header('cache-control', 'no-store').send({ live: true }));
  server.get('/readyz', async (_request, reply) => {
    const report = await deps.readiness();
    if (!report.ready) void reply.header('retry-after', '1');
    return reply
      .code(report.ready ? 200 : 503)
      .header('cache-control', 'no-store')
      .send(report);
  });
  server.get('/metrics', async (_request, reply) =>
    reply
      .type(deps.metrics.contentType)
      .header('cache-control', 'no-store')
      .send(await deps.metrics.text()),
  );
}

const READINESS = {
  type: 'object',
  required: ['ready', 'roles', 'projections', 'reasons'],
  properties: {
    ready: { type: 'boolean' },
    roles: { type: 'array', items: { type: 'string' } },
    projections: {
      type: 'object',
      additionalProperties: {
        type: 'object',
        required: ['state', 'version', 'lag', 'ready'],
        properties: {
          state: { enum: PROJECTION_STATES },
          version: { type: 'integer' },
          lag: {
            type: ['integer', 'null'],
            description: 'Events behind the heads; null while it is not known.',
          },
          ready: { type: 'boolean', description: 'Whether this process may read it.' },
          progress: {
            type: 'object',
            description: 'While its rows are being loaded.',
            required: ['startedAt', 'phase', 'events', 'total', 'perSecond'],
            properties: {
              startedAt: { type: 'string', format: 'date-time' },
              phase: { enum: ['loading', 'indexing'] },
              events: { type: 'integer' },
              total: { type: 'integer' },
              perSecond: { type: 'number', description: 'Events per second of the last few seconds.' },
            },
          },
        },
      },
    },
    reasons: { type: 'array', items: { type: 'string' } },
  },
};

const json = (description: string, schema: object): object => ({
  description,
  content: { 'application/json': { schema } },
});

/** Health and metrics in OpenAPI. */
export function operationsOperations(): Operations {
  const tags = ['operation'];
  return {
    '/livez': {
      get: {
        operationId: 'livez',
        security: [],
        summary: 'Whether the process runs',
        tags,
        responses: {
          ...problemResponses([]),
          '200': json('It does.', {
            type: 'object',
            properties: { live: { const: true } },
            required: ['live'],
          }),
        },
      },
    },
    '/readyz': {
      get: {
        operationId: 'readyz',
        security: [],
        summary: 'Whether this process can serve, and what is not as it should be',
        tags,
        responses: {
          ...problemResponses([]),
          '200': json('It can.', READINESS),
          '503': json('It cannot now.', READINESS),
        },
      },
    },
    '/metrics': {
      get: {
        operationId: 'metrics',
        security: [],
        summary: 'Metrics for Prometheus',
        tags,
        responses: {
          ...problemResponses([]),
          '200': {
            description: 'Text format of Prometheus.',
            content: { 'text/plain': { schema: { type: 'string' } } },
          },
        },
      },
    },
  };
}
