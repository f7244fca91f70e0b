/** `POST /commands/{aggregate}/{id}/{command}`. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { AnyApp } from '../domain/app.js';
import { TidemarkError } from '../platform/errors.js';
import type { Guard } from '../rights/guard.js';
import type { CallerOf } from '../rights/http.js';
import type { CommandBus } from './bus.js';
import { aggregateOf, checkStreamId, commandOf } from './lookup.js';
import { checkSingle, parseCommandHeaders, versionTag } from './request-headers.js';

export interface CommandRouteDeps {
  readonly app: AnyApp;
  readonly bus: CommandBus;
  readonly guard: Guard;
  readonly callerOf: CallerOf;
}

interface CommandRoute {
  Params: { aggregate: string; id: string; command: string };
}

const ONCE = ['idempotency-key', 'if-match', 'if-none-match'];

export function registerCommandRoutes(server: FastifyInstance, deps: CommandRouteDeps): void {
  server.post<CommandRoute>('/commands/:aggregate/:id/:command', async (request, reply) => {
    const { aggregate, id, command } = request.params;
    const { guard } = deps;
    commandOf(aggregateOf(deps.app, aggregate), command);
    const principal = deps.callerOf(request);
    const permit = guard.off ? undefined : guard.mayCommand(principal, aggregate, command);
    checkStreamId(id);
    checkSingle(request.raw.rawHeaders, ONCE);
    const headers = parseCommandHeaders(request.headers);
    const gone = whenGone(reply);
    const bytes = Number(request.headers['content-length']);
    const result = await deps.bus.execute({
      aggregate,
      streamId: id,
      command,
      payload: request.body,
      actor: principal.id,
      permit,
      // The id that the answer and the log lines have as well.
      correlationId: request.id,
      ...headers,
      // Parsed JSON takes a few times the room of its text.
      ...(Number.isSafeInteger(bytes) ? { bytes: 3 * bytes } : {}),
      signal: gone,
    });
    return reply.header('etag', versionTag(result.version)).send(result);
  });
}

/** Aborted when the client goes away before it is answered: nobody waits for a command that still waits its turn. */
function whenGone(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) {
      controller.abort(
        new TidemarkError('request_aborted', 'the client went away before its command’s turn'),
      );
    }
  });
  return controller.signal;
}
