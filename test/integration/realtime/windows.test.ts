/** Windows on a real Postgres and real sockets: what they show, how often they ask, and how they go on. */
import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readChanges } from '../../../src/projections/change-log.js';
import type { ServerFrame } from '../../../src/protocol/frames.js';
import type { Gateway } from '../../../src/realtime/gateway.js';
import type { GatewaySettingsInput } from '../../../src/realtime/options.js';
import { parseListRequest } from '../../../src/queries/list-request.js';
import { parametersOf } from '../../../src/queries/parameters.js';
import { Views } from '../../../src/queries/views.js';
import { append } from '../../support/projecting.js';
import { randomFrom } from '../../support/random.js';
import { engines } from '../../support/realtime/engines.js';
import { LiveView, type Subscribe } from '../../support/realtime/live-view.js';
import {
  book,
  firstBooks,
  Shelf,
  shelfApp,
  TEXTS,
  type Book,
  type BookRow,
} from '../../support/realtime/shelf.js';
import { RealtimeStack } from '../../support/realtime/stack.js';

let stack: RealtimeStack;
let views: Views;
beforeAll(async () => {
  stack = await RealtimeStack.start(shelfApp);
  views = new Views({ app: shelfApp, db: stack.db, signer: stack.signer });
});
afterAll(() => stack.stop());

const put = (id: string, given: Partial<Book> = {}): Promise<void> =>
  append(stack.projecting.store, 'shelved', id, [{ type: 'Put', data: book(given) }]);
const take = (id: string): Promise<void> =>
  append(stack.projecting.store, 'shelved', id, [{ type: 'Taken', data: {} }]);

/** What HTTP gives for it, in its order. */
async function listed({ where, sort, limit }: Subscribe): Promise<{ rows: BookRow[]; cursor: string }> {
  const texts = Object.entries({ ...where, sort, limit }).filter(([, value]) => value !== undefined);
  const query = Object.fromEntries(texts.map(([name, value]) => [name, value === null ? '' : String(value)]));
  const read = await views.list(Shelf, parseListRequest(Shelf, parametersOf(query)), true);
  const { items }: { items: BookRow[] } = JSON.parse(read.json);
  return { rows: items, cursor: read.cursor ?? '' };
}

/** Keeps what it showed after each frame while it was live, with its position. */
class WatchedView extends LiveView {
  readonly frames: {
    readonly last: ReadonlyMap<string | number, number>;
    readonly shown: readonly string[];
  }[] = [];
  override frame(frame: ServerFrame): void {
    super.frame(frame);
    // Nobody would wait for it: the rows would never be as they should.
    if (this.state === 'failed') throw new Error(`${JSON.stringify(this.request)}: ${this.error ?? ''}`);
    if (this.state !== 'live') return;
    const shown = [...this.rows].map(([key, { rev }]) => `${key}@${rev}`).sort();
    this.frames.push({ last: new Map(this.last), shown });
  }
}

const windows = (name: string): Omit<Subscribe, 'id'>[] => [
  { view: 'shelf', limit: 5 },
  { view: 'shelf', sort: '-extra,note', limit: 7 },
  { view: 'shelf', sort: 'note,-ratio', limit: 3, where: { name } },
  { view: 'shelf', sort: '-note', limit: 4, where: { name } },
  { view: 'shelf', sort: 'amount,-id', limit: 1, where: { name } },
  { view: 'shelf', sort: '-amount,flag,ratio', limit: 10, where: { name } },
  { view: 'shelf', sort: '-ratio', where: { name, flag: null } },
  { view: 'shelf', sort: 'flag,-name,extra', limit: 6, where: { name } },
];

describe.each(engines)('windows over $name', (engine) => {
  const own = (name: string): string => `${engine.name}-${name}`;
  const rowsOf = (view: LiveView): unknown[] =>
    firstBooks(
      [...view.rows.values()].map(({ row }) => row as BookRow),
      { ...view.request, limit: 1_000 },
    );

  it('show what the list shows after hundreds of changes, and between any two frames what it would have shown then', async () => {
    const seed = randomInt(2 ** 31);
    const random = randomFrom(seed);
    const some = <T>(...values: readonly T[]): T => values[random(values.length)] as T;
    const name = own('many');
    const write = async (): Promise<void> => {
      for (let n = 0; n < 80; n++) {
        const id = `${engine.name}${some('𝒜', '\ue000', 'k')}${random(9)}`;
        if (random(4) === 0) await take(id);
        else
          await put(id, {
            name: random(4) === 0 ? own('other') : name,
            note: some(null, ...TEXTS),
            amount: some(null, random(3), -random(3), 2 ** 40),
            ratio: some(0, -0.5, 1e-7, random(5) / 4),
            flag: some(null, true, false),
            ...(random(2) === 0 ? {} : { extra: some(...TEXTS) }),
            size: 'x'.repeat(random(200)),
          });
      }
    };
    // Few spare rows and a short ring, so that windows run short, and replays are read again.
    const gateway = await stack.gateway(engine, { windowSpareRows: 2, heartbeatMs: 100, ringBytes: 4_000 });
    const wanted = windows(name);
    try {
      const clients = await Promise.all([0, 1, 2].map(() => stack.client(gateway)));
      const watched = clients.flatMap((client) =>
        wanted.map((request, n) => ({ client, view: new WatchedView({ ...request, id: `w${n}` }) })),
      );
      const watching = watched.map(({ client, view }) => client.goOn(view));
      await Promise.all([write(), write(), write()]);
      await Promise.all(watching);
      await stack.caughtUp();
      // Who went live late has seen little of it: more happens, until there is enough to look at.
      const seen = (): number => watched.reduce((sum, { view }) => sum + view.frames.length, 0);
      while (seen() <= watched.length * 5) await write().then(() => stack.caughtUp());
      for (const { client, view } of watched) {
        const { rows } = await listed(view.request);
        const text = JSON.stringify(rows);
        await client.until(() => JSON.stringify(rowsOf(view)) === text);
      }
      await verifyFrames(watched.map(({ view }) => view));
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
    await gateway.stop();
  });

  it('ask once for all who come, and once when they run short, however many watch', async () => {
    const where = { name: own('count') };
    for (let n = 10; n < 30; n++) await put(own(`c${n}`), where);
    await stack.caughtUp();
    let reads = 0;
    const gateway = await stack.gateway(engine, { windowSpareRows: 4 }, { snapshotRead: () => void reads++ });
    const clients = await Promise.all(Array.from({ length: 40 }, () => stack.client(gateway)));
    const request = { id: 'w', view: 'shelf', where, sort: 'id', limit: 5 };
    const live = await Promise.all(clients.map((client) => client.live(request)));
    expect(reads).toBe(1);
    // A sort that the filter decides is none: it is the same window.
    await clients[0]?.live({ ...request, id: 'same', sort: 'name,id' });
    expect(reads).toBe(1);
    for (let n = 10; n < 20; n++) {
      await take(own(`c${n}`));
      await Promise.all(
        clients.map((client, at) => client.until(() => live[at]?.rows.has(own(`c${n + 5}`)))),
      );
      for (const { rows } of live) expect(rows.size).toBe(5);
    }
    // Nine are known after a read, and read again when fewer than six are left: after four have left.
    expect(reads).toBeGreaterThanOrEqual(3);
    expect(reads).toBeLessThanOrEqual(1 + 4);
    await gateway.stop();
  });

  it('go on where they stood: without a word when nothing changed, with what they missed, or from a snapshot', async () => {
    const where = { name: own('resume') };
    for (let n = 10; n < 40; n++) await put(own(`r${n}`), { ...where, amount: n });
    await stack.caughtUp();
    const settings: GatewaySettingsInput = { windowSpareRows: 4 };
    const first = await stack.gateway(engine, settings);
    const request: Subscribe = { id: 'w', view: 'shelf', where, sort: '-amount', limit: 5 };
    const view = await (await stack.client(first)).live(request);
    await first.stop();
    const goOn = async (): Promise<string[]> => {
      const gateway: Gateway = await stack.gateway(engine, settings);
      const client = await stack.client(gateway);
      await client.goOn(view);
      const kinds = client.frames.flatMap((frame) => ('id' in frame ? [frame.t] : []));
      expect(rowsOf(view)).toEqual((await listed(request)).rows);
      await gateway.stop();
      return kinds;
    };
    await put(own('other'), { name: own('elsewhere'), amount: 1_000 });
    await stack.caughtUp();
    expect(await goOn()).toEqual(['live']);
    // One moves up, one is new, one of those behind changes: three of them.
    await take(own('r38'));
    await put(own('r99'), { ...where, amount: 99 });
    await put(own('r12'), { ...where, amount: 13 });
    await stack.caughtUp();
    expect(await goOn()).toEqual(['chg', 'live']);
    for (let n = 50; n < 60; n++) await put(own(`r${n}`), { ...where, amount: n });
    await stack.caughtUp();
    expect(await goOn()).toEqual(['reset', 'snap', 'live']);
    expect(view.resets).toEqual(['too_far_behind']);
  });

  it('go on from the first page of the very same list', async () => {
    const where = { name: own('cursor') };
    for (let n = 10; n < 20; n++) await put(own(`p${n}`), { ...where, ratio: n });
    await stack.caughtUp();
    const request: Subscribe = { id: 'w', view: 'shelf', where, sort: '-ratio', limit: 3 };
    const { rows, cursor } = await listed(request);
    await put(own('p30'), { ...where, ratio: 30 });
    await stack.caughtUp();
    const client = await stack.client(await stack.gateway(engine));
    const view = new LiveView(request);
    for (const row of rows) view.rows.set(row.id, { rev: 0, row });
    view.resumedFrom = { epoch: '', pos: [] };
    client.views.set('w', view);
    client.send({ t: 'sub', ...request, from: cursor });
    await client.until(() => view.state === 'live');
    expect(rowsOf(view)).toEqual((await listed(request)).rows);
    expect(client.frames.flatMap((frame) => ('id' in frame ? [frame.t] : []))).toEqual(['chg', 'live']);
    const others: Partial<Subscribe>[] = [{ sort: 'ratio' }, { limit: 4 }, { where: { name: own('x') } }];
    for (const [n, other] of others.entries()) {
      client.send({ t: 'sub', ...request, ...other, id: `o${n}`, from: cursor });
      const { code } = await client.next('err', (frame) => frame.id === `o${n}`);
      expect(code).toBe('invalid_cursor');
    }
  });

  it('are as many, and as large, as the server has room for', async () => {
    const where = { name: own('limits') };
    for (let n = 10; n < 15; n++) await put(own(`l${n}`), { ...where, size: 'x'.repeat(1_000) });
    await stack.caughtUp();
    const gateway = await stack.gateway(engine, {
      maxWindows: 2,
      maxWindowBytes: 16_000,
      windowSpareRows: 0,
      heartbeatMs: 50,
    });
    const [one, two] = await Promise.all([stack.client(gateway), stack.client(gateway)]);
    const request: Subscribe = { id: 'a', view: 'shelf', where, limit: 2 };
    await one.live(request);
    await two.live(request);
    await one.live({ ...request, id: 'b', limit: 1 });
    two.send({ t: 'sub', ...request, id: 'c', sort: '-id' });
    expect((await two.next('err')).code).toBe('too_many_windows');
    one.send({ t: 'unsub', id: 'b' });
    await one.next('unsubbed');
    await two.live({ ...request, id: 'c', sort: '-id' });
    two.send({ t: 'unsub', id: 'c' });
    await two.next('unsubbed');
    // Five rows of about 1 KiB are more than may be read for one.
    two.send({ t: 'sub', ...request, id: 'd', limit: 5 });
    expect((await two.next('err', ({ id }) => id === 'd')).code).toBe('too_many_rows');
    // Those that watch a window which grows too large are told, all of them.
    await put(own('l10'), { ...where, size: 'x'.repeat(20_000) });
    const errors = await Promise.all([one, two].map((client) => client.next('err', ({ id }) => id === 'a')));
    expect(errors.map(({ code }) => code)).toEqual(['too_many_rows', 'too_many_rows']);
    await take(own('l10'));
    await stack.caughtUp();
    await one.live(request);
    expect(gateway.stats().subscriptions).toBe(1);
    await gateway.stop();
  });
});

/** Each frame left the client with exactly what the query gives at the position that the client had after it. */
async function verifyFrames(watched: readonly WatchedView[]): Promise<void> {
  const log = await Promise.all(
    Array.from({ length: shelfApp.shards }, async (_, shard) => {
      const page = await readChanges(stack.db, 'shelf.v1', shard, 0, 10_000);
      return page.kind === 'entries' ? page.entries : [];
    }),
  );
  const parsed = log.map((entries) =>
    entries.map(({ seq, key, row }) => ({
      seq,
      key,
      row: row === null ? null : (JSON.parse(row) as BookRow),
    })),
  );
  let frames = 0;
  for (const view of watched) {
    for (const { last, shown } of view.frames) {
      const rows = new Map<string, { rev: number; row: BookRow }>();
      for (const [shard, entries] of parsed.entries()) {
        for (const { seq, key, row } of entries) {
          if (seq > (last.get(shard) ?? 0)) break;
          if (row) rows.set(key, { rev: seq, row });
          else rows.delete(key);
        }
      }
      const books = firstBooks(
        [...rows.values()].map(({ row }) => row),
        view.request,
      );
      const wanted = books.map(({ id }) => `${id}@${rows.get(id)?.rev ?? 0}`).sort();
      expect(shown, JSON.stringify(view.request)).toEqual(wanted);
      frames++;
    }
  }
  expect(frames).toBeGreaterThan(watched.length * 5);
}
