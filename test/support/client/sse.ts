/** A client on scripted sockets and streams, under a clock that the test moves. */
import { createClient, type ClientOptions, type LiveStore } from 'tidemark/client';
import { webSocketOrSse, type SseOptions } from 'tidemark/client/sse';
import { afterEach, vi } from 'vitest';
import { script } from './scripted-socket.js';
import { scriptedStreams, type Streams } from './scripted-streams.js';
import { useClients } from './use-clients.js';

export type Row = Readonly<Record<string, unknown>>;
export type Stream = ReturnType<Streams['last']>;

const BACKOFF = { minMs: 100, maxMs: 1_000 };
/** When streams look for a WebSocket again. */
export const RETRY_MS = 20_000;

export const after = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);
export const settled = (): Promise<unknown> => after(0);
/** Longer than any wait between two connections. */
export const comesBack = (): Promise<unknown> => after(1.5 * BACKOFF.maxMs);

export const row = (id: string, rev: number): readonly [string, number, Row] => [id, rev, { id, rev }];
export const revs = ({ rows }: LiveStore<Row>): unknown[] => rows.map(({ rev }) => rev);

/** Brings a stream up, with one row where it begins anew. */
export async function serve(stream: Stream, expiresAt: number | null = null): Promise<void> {
  stream.accept().say({ t: 'authed', expiresAt });
  if (!stream.url.searchParams.has('from') && !stream.headers.has('last-event-id'))
    stream.say({ t: 'snap', id: 's', rows: [row('a', 1)], more: false });
  stream.say({ t: 'live', id: 's', ch: 1, epoch: 'e', pos: [[0, 1]] }, 'cursor-1');
  await settled();
}
export const change = (stream: Stream, p: number, s: number): Stream =>
  stream.say({ t: 'chg', ch: 1, at: 0, d: [[0, p, s, [row('a', s)]]] }, `cursor-${s}`);

/** What a gateway refuses with. */
export const problem = (status: number, code: string, more: object = {}) =>
  [status, { type: 'x', title: 'x', status, detail: `it is ${code}`, code, ...more }] as const;

/** For a whole file, as `useClients`. */
export function useSse() {
  const noted = useClients();
  afterEach(() => vi.unstubAllGlobals());
  function start(sse: SseOptions = {}, options: ClientOptions = {}) {
    const server = script();
    const streams = scriptedStreams();
    const settings = { WebSocket: server.WebSocket, fetch: streams.fetch, retrySocketMs: RETRY_MS, ...sse };
    const client = noted(
      createClient({
        url: 'https://shop.test/api',
        WebSocket: webSocketOrSse(settings),
        backoff: BACKOFF,
        ...options,
      }),
    );
    return { server, streams, client };
  }
  return {
    start,
    /** On streams from the first moment on. */
    streaming: (sse: SseOptions = {}, options: ClientOptions = {}) =>
      start({ WebSocket: null, ...sse }, options),
    /** On streams, after two WebSockets that found nobody. */
    async fallen(sse: SseOptions = {}) {
      const all = start(sse);
      const store = all.client.live('items');
      await settled();
      for (let n = 0; n < 2; n++) {
        all.server.socket().drop();
        await comesBack();
      }
      return { ...all, store };
    },
  };
}
