/** Tells a handler when its client went away. */
import type { FastifyReply } from 'fastify';

/** Aborts when the connection closes before the answer was written. */
export function clientGone(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  if (reply.raw.destroyed) gone.abort();
  // A response closes also when all went well; nobody waits any more then.
  reply.raw.once('close', () => gone.abort());
  return gone.signal;
}
