/**
 * Serves a built page beside the API (`tidemark start --page <dir>`): a route per file and one for all in `assets/`, so that every
 * other path is answered as without a page, and `/tidemark.json`, from which the page learns where the realtime socket is.
 */
import fastifyStatic from '@fastify/static';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Logger } from '../../../platform/logger.js';
import { assetFile, pageFiles } from './files.js';
import { pageHeaders, type RealtimePlace } from './headers.js';

export interface PageOptions {
  /** Name of the application. */
  readonly app: string;
  /** Absolute path. */
  readonly dir: string;
  readonly realtime: RealtimePlace;
  readonly logger: Logger;
}

const PUBLIC = { config: { isPublic: true } };

const howAsked = ({ host, protocol }: FastifyRequest) => ({ host, secure: protocol === 'https' });

/**
 * To be called once all other routes are there: a file whose path one of them has is not served.
 * @throws TidemarkError `invalid_page`
 */
export async function servePage(
  server: FastifyInstance,
  { app, dir, realtime, logger }: PageOptions,
): Promise<void> {
  const files = await pageFiles(dir);
  const place = JSON.stringify({
    app,
    realtime: realtime.url === undefined ? { port: realtime.port, path: '/realtime' } : { url: realtime.url },
  });
  // A plugin of its own: the API docs have another.
  await server.register(async (page) => {
    await page.register(fastifyStatic, { serve: false, root: dir, cacheControl: false, dotfiles: 'deny' });
    page.get('/tidemark.json', PUBLIC, (_request, reply) =>
      reply.header('cache-control', 'no-cache').type('application/json').send(place),
    );
    for (const { file, route, cacheControl } of files) {
      if (server.hasRoute({ url: route, method: 'GET' })) {
        logger.warn({ file, route }, 'a file of the page has the path of a route, which goes first');
        continue;
      }
      page.get(route, PUBLIC, (request, reply) =>
        reply
          .headers({ ...pageHeaders(realtime, howAsked(request)), 'cache-control': cacheControl })
          .sendFile(file),
      );
    }
    page.get<{ Params: { '*': string } }>('/assets/*', PUBLIC, async (request, reply) => {
      const found = await assetFile(dir, request.params['*']);
      if (!found) return reply.callNotFound();
      return reply
        .headers({ ...pageHeaders(realtime, howAsked(request)), 'cache-control': found.cacheControl })
        .sendFile(found.file);
    });
  });
}
