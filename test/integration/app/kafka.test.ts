/** One application with and without a Kafka: it moves from one to the other and back, and starts whatever Kafka does. */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { aggregate, defineApp, projection } from 'tidemark';
import { afterEach, beforeEach, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { loadConfig } from '../../../src/app/config.js';
import type { Readiness } from '../../../src/app/http/operations-http.js';
import { createRuntime, type Runtime } from '../../../src/app/runtime.js';
import { createLogger, silentLogger, type Logger } from '../../../src/platform/logger.js';
import { subscribeTo } from '../../../src/testing/subscription.js';
import { describeKafka, kafka, kafkaBrokers, uniqueName } from '../../support/kafka.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

const SHARDS = 3;
const Note = aggregate('note', {
  state: z.object({ count: z.int() }),
  initial: { count: 0 },
  events: { Written: z.object({ book: z.string(), text: z.string() }) },
  commands: { write: z.object({ book: z.string(), text: z.string() }) },
})
  .evolve({ Written: (state) => ({ count: state.count + 1 }) })
  .decide({ write: (_state, input, { emit }) => emit('Written', input) });

const Notes = projection('notes', {
  version: 1,
  row: z.object({ id: z.string(), book: z.string(), text: z.string(), times: z.int() }),
  key: 'id',
}).on(Note, {
  fold: { Written: (row, { data }) => ({ ...data, times: (row?.times ?? 0) + 1 }) },
});

/** Of many streams: one elected writer. */
const Books = projection('books', {
  version: 1,
  row: z.object({ book: z.string(), written: z.int() }),
  key: 'book',
}).on(Note, {
  keys: ({ data }) => data.book,
  fold: { Written: (row) => ({ written: (row?.written ?? 0) + 1 }) },
});

const ALL = 'api,relay,projector,gateway';
const WITH = { KAFKA_BROKERS: kafkaBrokers.join(',') };
const WITHOUT = {};
const PATIENCE = { timeout: 60_000 };

let postgres: FreshDatabase;
let app: ReturnType<typeof notesApp>;
let open: Runtime[] = [];

const notesApp = () =>
  defineApp({
    auth: 'none',
    name: uniqueName('notes'),
    aggregates: [Note],
    projections: [Notes, Books],
    shards: SHARDS,
  });

beforeEach(async () => {
  postgres = await freshDatabase();
  app = notesApp();
});
afterEach(async () => {
  await stopAll();
  await postgres.drop();
});

function make(env: Record<string, string>, roles = ALL, logger: Logger = silentLogger): Runtime {
  const config = loadConfig({
    DATABASE_URL: postgres.url,
    PORT: '0',
    REALTIME_PORT: '0',
    TIDEMARK_ROLES: roles,
    ...env,
  });
  const runtime = createRuntime(app, config, { logger });
  open.push(runtime);
  return runtime;
}

async function start(env: Record<string, string>, roles = ALL, logger?: Logger): Promise<Runtime> {
  const runtime = make(env, roles, logger);
  await runtime.start();
  return runtime;
}

async function stopAll(): Promise<void> {
  const stopping = open;
  open = [];
  await Promise.all(stopping.map((runtime) => runtime.stop()));
}

/** How many times each note was written, and each book written into. */
const written = new Map<string, number>();
beforeEach(() => written.clear());
const count = (name: string): void => void written.set(name, (written.get(name) ?? 0) + 1);

/** @returns the token of the last command */
async function write(api: Runtime, notes: number, text: string): Promise<string[]> {
  return Promise.all(
    Array.from({ length: notes }, async (_, n) => {
      const [id, book] = [`n-${n}`, `b-${n % 2}`];
      const answer = await fetch(`${api.urls.http}/commands/note/${id}/write`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ book, text }),
      });
      expect(answer.status).toBe(200);
      count(id);
      count(book);
      return ((await answer.json()) as { token: string }).token;
    }),
  );
}

/** Both read models have all that was written, each once, for whoever asks with the tokens. */
async function checkRows(api: Runtime, tokens: readonly string[], text: string): Promise<void> {
  const after = tokens.map((token) => `after=${encodeURIComponent(token)}`).join('&');
  const rows = async <T>(view: string): Promise<T[]> => {
    const answer = await fetch(`${api.urls.http}/views/${view}?limit=1000&wait=30000&${after}`);
    expect(answer.status).toBe(200);
    return ((await answer.json()) as { items: T[] }).items;
  };
  for (const row of await rows<{ id: string; text: string; times: number }>('notes'))
    expect(row).toMatchObject({ text, times: written.get(row.id) });
  for (const row of await rows<{ book: string; written: number }>('books'))
    expect(row.written, row.book).toBe(written.get(row.book));
}

const readiness = async (runtime: Runtime): Promise<Readiness> =>
  (await (await fetch(`${runtime.urls.http}/readyz`)).json()) as Readiness;

const metric = async (runtime: Runtime, name: string): Promise<number> => {
  const text = await (await fetch(`${runtime.urls.http}/metrics`)).text();
  const values = [...text.matchAll(new RegExp(`^tidemark_${name}(?:\\{.*\\})? (\\S+)$`, 'gm'))];
  return values.reduce((sum, [, value]) => sum + Number(value), 0);
};

/** Seqs of the events of a topic, by partition, without repeats. */
async function seqsIn(topic: string): Promise<number[][]> {
  const seqs = Array.from({ length: SHARDS }, () => new Set<number>());
  for (const { partition, headers } of await kafka.readAll(topic))
    seqs[partition]?.add(Number(headers['ce_seq']));
  return seqs.map((each) => [...each]);
}

describeKafka('an application', () => {
  it('moves from Postgres alone to Kafka and back, with its checkpoints', async () => {
    for (const [round, env] of [WITHOUT, WITH, WITHOUT, WITH].entries()) {
      const text = `round ${round}`;
      const runtime = await start(env);
      const live = await subscribeTo<{ text: string }>(runtime.urls.realtime ?? '', 'notes', {});
      const tokens = [...(await write(runtime, 12, `${text}, first`)), ...(await write(runtime, 12, text))];
      await checkRows(runtime, tokens, text);
      await live.until(
        (rows) => rows.size === 12 && [...rows.values()].every((row) => row.text === text),
        PATIENCE.timeout,
      );
      await live.close();
      await expect.poll(async () => (await readiness(runtime)).reasons, PATIENCE).toEqual([]);
      await stopAll();
    }
    // What was written without a Kafka is there too: from the first event on, each seq, in order.
    const runtime = await start(WITH);
    const events = 12 * 2 * 4;
    await expect.poll(async () => (await seqsIn(`${app.name}.note`)).flat().length, PATIENCE).toBe(events);
    for (const seqs of await seqsIn(`${app.name}.note`))
      expect(seqs).toEqual(seqs.map((_, index) => index + 1));
    expect(await metric(runtime, 'projection_events_total')).toBe(0);
  });

  it('goes on in processes of which some have a Kafka and some do not', async () => {
    const [some, others] = await Promise.all([start(WITH), start(WITHOUT)]);
    const live = await subscribeTo<{ text: string }>(some.urls.realtime ?? '', 'notes', {});
    const also = await subscribeTo<{ text: string }>(others.urls.realtime ?? '', 'notes', {});
    for (const text of ['one', 'two', 'three']) {
      const tokens = [...(await write(some, 9, text)), ...(await write(others, 9, text))];
      await checkRows(others, tokens, text);
      await checkRows(some, tokens, text);
    }
    const three = (rows: ReadonlyMap<string, { text: string }>): boolean =>
      rows.size === 9 && [...rows.values()].every(({ text }) => text === 'three');
    await Promise.all([live, also].map((each) => each.until(three, PATIENCE.timeout)));
    await Promise.all([live.close(), also.close()]);
    // They share by leases: nobody was overtaken by somebody who did the same.
    expect(await metric(some, 'projection_fenced_writes_total')).toBe(0);
    expect(await metric(others, 'projection_fenced_writes_total')).toBe(0);
  });

  it('does not start where a topic has another number of partitions, and says so in a line', async () => {
    const topic = `${app.name}.note`;
    await kafka.createTopic(topic, { partitions: SHARDS + 1 });
    for (const roles of [ALL, 'projector', 'relay']) {
      await expect(make(WITH, roles).start()).rejects.toMatchObject({
        code: 'topic_mismatch',
        message: expect.stringMatching(
          new RegExp(`^topic ${topic} has ${SHARDS + 1} partitions, expected ${SHARDS}: [^\n]+$`),
        ),
      });
    }
    // What needs no topic serves.
    const api = await start(WITH, 'api');
    expect((await readiness(api)).ready).toBe(true);
  });

  it('serves while Kafka is away, says so, and everything is in Kafka once it is back', async () => {
    const runtime = await start({ KAFKA_BROKERS: '127.0.0.1:1' });
    const live = await subscribeTo<{ text: string }>(runtime.urls.realtime ?? '', 'notes', {});
    await checkRows(runtime, await write(runtime, 4, 'without'), 'without');
    await live.until((rows) => rows.size === 4, PATIENCE.timeout);
    await live.close();
    await expect
      .poll(async () => (await readiness(runtime)).reasons.join('\n'), PATIENCE)
      .toMatch(/note is followed by Postgres, as Kafka does not give it/);
    expect((await readiness(runtime)).ready).toBe(true);
    expect(await metric(runtime, 'feed_away')).toBeGreaterThan(0);
    await stopAll();
    const again = await start(WITH);
    await expect.poll(async () => (await seqsIn(`${app.name}.note`)).flat().length, PATIENCE).toBe(4);
    await expect.poll(async () => (await readiness(again)).reasons, PATIENCE).toEqual([]);
    await expect.poll(() => metric(again, 'feed_away')).toBe(0);
  });

  it('starts and serves though its Kafka takes connections and says nothing', async () => {
    const sockets = new Set<Socket>();
    const silent = createServer((socket) => void sockets.add(socket)).listen(0, '127.0.0.1');
    onTestFinished(async () => {
      await stopAll();
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
    await once(silent, 'listening');
    const address = silent.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const runtime = await start({ KAFKA_BROKERS: `127.0.0.1:${port}` }, 'api,projector,gateway');
    // At once: later it is told as well that events come from Postgres.
    expect(await readiness(runtime)).toMatchObject({
      ready: true,
      reasons: ['Kafka did not answer within 3000 ms'],
    });
    await checkRows(runtime, await write(runtime, 4, 'alone'), 'alone');
    expect((await readiness(runtime)).ready).toBe(true);
  });

  it('has the password of Kafka in no line of its log', async () => {
    const lines: string[] = [];
    const logger = createLogger({ level: 'trace', destination: { write: (line) => void lines.push(line) } });
    const secret = {
      KAFKA_SASL_MECHANISM: 'plain',
      KAFKA_SASL_USERNAME: 'shop',
      KAFKA_SASL_PASSWORD: 'hunter2',
    };
    const runtime = await start({ ...WITH, ...secret }, ALL, logger);
    await write(runtime, 1, 'text');
    await expect.poll(async () => (await readiness(runtime)).reasons.length, PATIENCE).toBeGreaterThan(0);
    const texts = [
      ...lines,
      JSON.stringify(await readiness(runtime)),
      await (await fetch(`${runtime.urls.http}/metrics`)).text(),
    ].join('\n');
    expect(texts).toContain('Kafka');
    expect(texts).not.toContain('hunter2');
  });
});

it('a relay alone, without a Kafka, stays up and says that it has nothing to do', async () => {
  const runtime = await start(WITHOUT, 'relay');
  expect(await readiness(runtime)).toMatchObject({
    ready: true,
    roles: ['relay'],
    reasons: ['the relay has nothing to do, as KAFKA_BROKERS is not set'],
  });
});
