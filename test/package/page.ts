/**
 * A front end that uses the published package, compiled and run by `scripts/check-package.js` as `consumer.ts` is: its
 * hooks render on a server, where nothing connects.
 */
import { createElement } from 'react';
import { renderToString } from 'react-dom/server';
import { aggregate, defineApp, projection } from 'tidemark';
import { createClient } from 'tidemark/client';
import { webSocketOrSse } from 'tidemark/client/sse';
import { createHooks } from 'tidemark/react';
import { z } from 'zod';

const Counter = aggregate('counter', {
  state: z.object({}),
  initial: {},
  events: { Added: z.object({ amount: z.int() }) },
  commands: { add: z.object({ amount: z.int() }) },
})
  .evolve({ Added: (state) => state })
  .decide({ add: (_state, input, { emit }) => emit('Added', input) });
const Counters = projection('counters', {
  version: 1,
  row: z.object({ counterId: z.string(), value: z.int() }),
  key: 'counterId',
}).on(Counter, { fold: { Added: (_row, { data }) => ({ value: data.amount }) } });
const app = defineApp({ auth: 'none', name: 'counting', aggregates: [Counter], projections: [Counters] });

const { TidemarkProvider, useCommand, useLive } = createHooks<typeof app>();

function Page() {
  const { rows, status } = useLive('counters', {}, { initial: [{ counterId: 'one', value: 1 }] });
  const add = useCommand('counter', 'add');
  const sum: number = rows.reduce((total, { value }) => total + value, 0);
  return createElement('p', {}, `${status} ${sum} ${String(add.isPending)}`);
}

const client = createClient<typeof app>({ url: 'http://127.0.0.1:1', WebSocket: webSocketOrSse() });
const html = renderToString(createElement(TidemarkProvider, { client }, createElement(Page)));
if (html !== '<p>connecting 1 false</p>') throw new Error(`unexpected: ${html}`);
client.close();
