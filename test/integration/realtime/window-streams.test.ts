/** Windows as server-sent events on a real Postgres: who comes back with its last id goes on where it was cut. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { append } from '../../support/projecting.js';
import { engines } from '../../support/realtime/engines.js';
import { EventClient } from '../../support/realtime/event-client.js';
import { LiveStream, streamUrl, type Asked } from '../../support/realtime/live-stream.js';
import { book, firstBooks, shelfApp, type Book, type BookRow } from '../../support/realtime/shelf.js';
import { RealtimeStack } from '../../support/realtime/stack.js';

let stack: RealtimeStack;
beforeAll(async () => {
  stack = await RealtimeStack.start(shelfApp);
});
afterAll(() => stack.stop());

const put = (id: string, given: Partial<Book>): Promise<void> =>
  append(stack.projecting.store, 'shelved', id, [{ type: 'Put', data: book(given) }]);
const take = (id: string): Promise<void> =>
  append(stack.projecting.store, 'shelved', id, [{ type: 'Taken', data: {} }]);

/** Keys of the rows, in the order of the window. */
const keysOf = ({ view }: LiveStream): readonly string[] =>
  firstBooks(
    [...view.rows.values()].map(({ row }) => row as BookRow),
    { ...view.request, limit: 1_000 },
  ).map(({ id }) => id);

describe.each(engines)('streams of windows over $name', (engine) => {
  const own = (name: string): string => `${engine.name}-${name}`;
  const shows = (stream: LiveStream, names: readonly string[]): Promise<void> =>
    stream.until(() => stream.view.state === 'live' && keysOf(stream).join() === names.map(own).join());

  it('go on from the last id: without a word, with what was missed, or with a reset', async () => {
    const where = { name: own('back') };
    for (let n = 10; n < 30; n++) await put(own(`b${n}`), { ...where, amount: n });
    await stack.caughtUp();
    const gateway = await stack.gateway(engine, { windowSpareRows: 4 });
    const asked: Asked = { view: 'shelf', where, sort: '-amount', limit: 3 };
    const stream = await LiveStream.live(gateway.port, asked);
    await shows(stream, ['b29', 'b28', 'b27']);
    const comeBack = async (): Promise<readonly string[]> => {
      const before = stream.frames.length;
      await stream.comeBack(gateway.port);
      await stream.isLive();
      return stream.frames.slice(before).flatMap(({ t }) => (t === 'hb' || t === 'welcome' ? [] : [t]));
    };
    expect(await comeBack()).toEqual(['live']);

    // As changes of the channel, whose events have ids of their own.
    const reader = await LiveStream.live(gateway.port, asked);
    await put(own('b40'), { ...where, amount: 40 });
    await shows(stream, ['b40', 'b29', 'b28']);
    await shows(reader, ['b40', 'b29', 'b28']);
    expect(stream.client.lastEventId).toBe(reader.client.lastEventId);
    stream.client.close();
    await take(own('b29'));
    await shows(reader, ['b40', 'b28', 'b27']);
    expect(await comeBack()).toEqual(['chg', 'live']);
    await shows(stream, ['b40', 'b28', 'b27']);

    stream.client.close();
    for (let n = 50; n < 60; n++) await put(own(`b${n}`), { ...where, amount: n });
    await shows(reader, ['b59', 'b58', 'b57']);
    // Who else watches keeps the window open: it is known what is missing, unless more has changed than it shows.
    expect(await comeBack()).toEqual(expect.arrayContaining(['live']));
    await shows(stream, ['b59', 'b58', 'b57']);
    stream.client.close();
    reader.client.close();
    await gateway.stop();
  });

  it('of the same rows share a channel, each with ids for what it asked', async () => {
    const where = { name: own('twins') };
    for (const n of [1, 2, 3]) await put(own(`t${n}`), where);
    await stack.caughtUp();
    const gateway = await stack.gateway(engine);
    const asked: Asked = { view: 'shelf', where, limit: 2 };
    // The filter decides what they are sorted by.
    const all = [asked, { ...asked, sort: 'id' }, { ...asked, sort: 'name,id' }];
    const streams: LiveStream[] = [];
    for (const one of all) streams.push(await LiveStream.live(gateway.port, one));
    expect(new Set(streams.map(({ view }) => view.ch)).size).toBe(1);
    await put(own('t0'), where);
    for (const stream of streams) await shows(stream, ['t0', 't1']);
    for (const stream of streams) {
      await stream.comeBack(gateway.port);
      await stream.isLive();
      expect(stream.view.resets).toEqual([]);
      stream.client.close();
    }
    await gateway.stop();
  });

  it('cut between the frames of what was missed, begin again where they began', async () => {
    const where = { name: own('parts') };
    for (let n = 10; n < 30; n++) await put(own(`p${n}`), { ...where, size: 'x'.repeat(2_000) });
    await stack.caughtUp();
    const gateway = await stack.gateway(engine, { outFrameBytes: 1_000, windowSpareRows: 100 });
    const asked: Asked = { view: 'shelf', where, sort: 'id', limit: 100 };
    const reader = await LiveStream.live(gateway.port, asked);
    const stream = await LiveStream.live(gateway.port, asked);
    const { lastEventId } = stream.client;
    stream.client.close();
    for (let n = 10; n < 20; n++) await put(own(`p${n}`), { ...where, amount: n, size: 'y'.repeat(2_000) });
    await reader.until(() =>
      [...reader.view.rows.values()].every(({ row }) => {
        const { id, amount } = row as BookRow;
        return amount !== null || id >= own('p20');
      }),
    );
    const cut = await EventClient.open(streamUrl(gateway.port, asked), { lastEventId });
    await cut.next('chg');
    const ids = new Map(cut.events.map(({ event, id }) => [event, id]));
    expect(ids.get('chg')).toBe(lastEventId);
    cut.close();
    await stream.comeBack(gateway.port);
    await stream.until(
      () => JSON.stringify(keysAndAmounts(stream)) === JSON.stringify(keysAndAmounts(reader)),
    );
    expect(stream.frames.filter(({ t }) => t === 'chg').length).toBeGreaterThan(1);
    expect(stream.view.resets).toEqual([]);
    reader.client.close();
    stream.client.close();
    await gateway.stop();
  });
});

const keysAndAmounts = ({ view }: LiveStream): readonly unknown[] =>
  [...view.rows].map(([key, { row }]) => [key, (row as BookRow).amount]).sort();
