/** The `relay` role in a process: changes and dead letters too, its metrics, what it tells, and what `doctor` says of it. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { defineApp } from 'tidemark';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { loadConfig } from '../../../src/app/config.js';
import { createRuntime, type Runtime } from '../../../src/app/runtime.js';
import { silentLogger } from '../../../src/platform/logger.js';
import { Database } from '../../../src/platform/postgres/database.js';
import { rebuildProjection } from '../../../src/projections/rebuild/rebuild.js';
import { Accounts, bank } from '../../support/bank.js';
import { tidemark } from '../../support/command.js';
import { describeKafka, kafka, kafkaBrokers, uniqueName } from '../../support/kafka.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

let pg: FreshDatabase;
let db: Database;
let name = '';
let running: Runtime[] = [];

const env = () => ({
  DATABASE_URL: pg.url,
  KAFKA_BROKERS: kafkaBrokers.join(','),
  PORT: '0',
  REALTIME_PORT: '0',
});

async function start(roles: string): Promise<Runtime> {
  const { aggregates, projections, shards } = bank;
  const app = defineApp({ auth: 'none', name, aggregates, projections, shards });
  const config = loadConfig({ ...env(), TIDEMARK_ROLES: roles });
  const runtime = createRuntime(app, config, { logger: silentLogger });
  running.push(runtime);
  await runtime.start();
  return runtime;
}

beforeEach(async () => {
  pg = await freshDatabase();
  db = new Database({ connectionString: pg.url, schema: 'tidemark', role: 'test', logger: silentLogger });
  name = uniqueName('bank');
  running = [];
});
afterEach(async () => {
  await Promise.all(running.map((runtime) => runtime.stop()));
  await db.end();
  await pg.drop();
});

const metadata = { correlationId: 'c', causationId: 'c', actor: 'ann' };
const opened = { type: 'Opened', data: { owner: 'ann' } };
const paid = (cents: number) => ({ type: 'Paid', data: { cents } });

/** @returns a token */
async function append(
  { inside }: Runtime,
  streamId: string,
  ...events: readonly { readonly type: string; readonly data: unknown }[]
): Promise<string> {
  if (!inside) throw new Error('not an api');
  return inside.append({
    category: 'account',
    streamId,
    expected: 'any',
    events: events.map(({ type, data }) => ({
      eventId: randomUUID(),
      type,
      schemaVersion: 1,
      data: JSON.stringify(data),
      tags: { owner: 'ann' },
      metadata,
    })),
  });
}

const metric = (text: string, line: string): number | undefined => {
  const found = text.split('\n').find((one) => one.startsWith(`${line} `));
  return found === undefined ? undefined : Number(found.slice(line.length + 1));
};
const metricsOf = async ({ urls }: Runtime): Promise<string> => (await fetch(`${urls.http}/metrics`)).text();
const doctor = (...more: string[]) =>
  tidemark(['doctor', '--app', 'test/support/bank-app.ts', ...more], { ...env(), TIDEMARK_TEST_APP: name })
    .ended;

describeKafka('a process with the role relay', () => {
  it('sends events, changes and dead letters, and measures it', async () => {
    const all = await start('api,relay,projector');
    const tokens = [
      await append(all, 'a-1', opened, paid(5), paid(666), paid(7)),
      await append(all, 'a-2', opened, paid(3)),
    ];
    await all.inside?.caughtUp(tokens, 60_000);
    const letters = () => kafka.readAll(`${name}.accounts.dead-letters`).catch(() => []);
    await expect.poll(async () => (await letters()).length, { timeout: 60_000 }).toBe(2);
    const [fault, behind] = await letters();
    expect(fault?.headers).toMatchObject({
      ce_projection: 'accounts',
      ce_error: 'the devil is in the fold',
      ce_subject: 'a-1',
      ce_source: `/${name}/account`,
      ce_seq: expect.stringMatching(/^\d+$/),
      ce_attempts: '3',
    });
    expect(fault?.value).toBe('{"cents":666}');
    expect(behind?.headers).toMatchObject({
      ce_error: expect.stringMatching(/^waits behind account, shard \d, seq \d+: the devil is in the fold$/),
      ce_attempts: '0',
    });
    const waiting = async (): Promise<readonly (number | undefined)[]> => {
      const told = await metricsOf(all);
      return ['account', 'accounts.v1'].map((log) => metric(told, `tidemark_outbox_pending{log="${log}"}`));
    };
    await expect.poll(waiting, { timeout: 60_000 }).toEqual([0, 0]);
    const changes = await kafka.readAll(`${name}.accounts.v1.changes`);
    const last = changes.filter(({ key }) => key === 'a-2').at(-1);
    expect(JSON.parse(last?.value ?? '')).toMatchObject({ id: 'a-2', cents: 3 });
    const text = await metricsOf(all);
    expect(metric(text, 'tidemark_outbox_sent_total{log="account"}')).toBe(6);
    expect(metric(text, 'tidemark_outbox_sent_total{log="accounts.v1"}')).toBe(changes.length);
    expect(metric(text, 'tidemark_outbox_pending{log="account"}')).toBe(0);
    expect(metric(text, 'tidemark_outbox_oldest_seconds{log="account"}')).toBe(0);
    expect(metric(text, 'tidemark_outbox_diverged{log="account"}')).toBe(0);
    expect(metric(text, 'tidemark_outbox_shards{log="account"}')).toBe(4);
    expect(metric(text, 'tidemark_dead_letters_sent_total{projection="accounts"}')).toBe(2);
    const documented = readFileSync(new URL('../../../docs/relay.md', import.meta.url), 'utf8').matchAll(
      /^\| `(tidemark_\w+)`/gm,
    );
    const measured = text.matchAll(/^# TYPE (tidemark_(?:outbox|dead_letters)_\w+)/gm);
    const names = (found: Iterable<RegExpMatchArray>) => [...found].map(([, one]) => one).toSorted();
    expect(names(documented)).toEqual(names(measured));
    const told = await doctor();
    expect(told.stdout).toMatch(/^ok +kafka +1 broker, /m);
    expect(told.stdout).toMatch(/^ok +topics +3 topics of 4 partitions$/m);
    expect(told.stdout).toMatch(/^ok +relay of account +Kafka has all of it$/m);
    expect(told.code).toBe(0);
  });

  it('sends the dead letters of one projection though those of another are refused, and none again and again', async () => {
    const topic = (projection: string) => `${name}.${projection}.dead-letters`;
    await kafka.createTopic(topic('accounts'), { partitions: 7 });
    const all = await start('api,relay,projector');
    await append(all, 'a-1', opened, paid(666));
    const unsent = async (projection: string): Promise<number> =>
      (
        await db.query(`SELECT n FROM tidemark.parked_events WHERE projection = $1 AND NOT sent`, [
          projection,
        ])
      ).length;
    await expect.poll(() => unsent('accounts'), { timeout: 60_000 }).toBe(1);
    // As another projection would have parked it, later.
    await db.query(
      `INSERT INTO tidemark.parked_events SELECT (jsonb_populate_record(p, '{"projection": "owners"}'::jsonb || jsonb_build_object('n', p.n + 1000))).*
       FROM tidemark.parked_events p`,
    );
    await expect.poll(() => unsent('owners'), { timeout: 60_000 }).toBe(0);
    expect(await kafka.readAll(topic('owners'))).toHaveLength(1);
    expect(await unsent('accounts')).toBe(1);
    await kafka.deleteTopic(topic('accounts'));
    await expect.poll(() => unsent('accounts'), { timeout: 60_000 }).toBe(0);
    expect(await kafka.readAll(topic('accounts'))).toHaveLength(1);
    expect(await kafka.readAll(topic('owners'))).toHaveLength(1);
  });

  it('steps over changes that were trimmed, loudly, and follows a change log into its next epoch', async () => {
    const writer = await start('api,projector');
    const ids = Array.from({ length: 12 }, (_, n) => `a-${n}`);
    const tokens = await Promise.all(ids.map((id) => append(writer, id, opened)));
    await writer.inside?.caughtUp(tokens, 60_000);
    // As trimming leaves it, with a relay that was away for longer than that.
    await db.query(
      `INSERT INTO tidemark.relay_cursors (log, shard, epoch, seq, begun) SELECT log, shard, epoch, 0, 0 FROM tidemark.shards`,
    );
    const [first] = await db.query<[number]>(
      `UPDATE tidemark.shards SET low = 1 WHERE log = 'accounts.v1' AND shard = (SELECT min(shard) FROM tidemark.changes WHERE log = 'accounts.v1') RETURNING shard`,
    );
    const relay = await start('relay');
    const records = () => kafka.readAll(`${name}.accounts.v1.changes`).catch(() => []);
    await expect.poll(async () => (await records()).length, { timeout: 60_000 }).toBe(11);
    expect((await records()).find(({ partition }) => partition === first?.[0])?.headers['ce_seq']).not.toBe(
      '1',
    );
    // In a shard of its own: the records of the others do not wait for it.
    await expect
      .poll(async () => metric(await metricsOf(relay), 'tidemark_outbox_skipped_total{log="accounts.v1"}'))
      .toBe(1);

    await rebuildProjection(db, Accounts);
    const epochs = async () =>
      (
        await db.query<[string]>(`SELECT DISTINCT epoch FROM tidemark.shards WHERE log = 'accounts.v1'`)
      ).flat();
    const [epoch] = await epochs();
    const loaded = () => db.query(`SELECT loaded FROM tidemark.projections WHERE name = 'accounts'`);
    await expect.poll(loaded, { timeout: 60_000 }).toEqual([[true]]);
    const token = await append(writer, 'a-0', paid(4));
    await writer.inside?.caughtUp([token], 60_000);
    const last = async () => (await records()).find(({ headers }) => headers['ce_epoch'] === epoch);
    await expect
      .poll(async () => (await last())?.value, { timeout: 60_000 })
      .toMatch(/"id":"a-0".*"cents":4/);
    expect((await fetch(`${relay.urls.http}/readyz`)).status).toBe(200);
    expect(metric(await metricsOf(relay), 'tidemark_outbox_diverged{log="accounts.v1"}')).toBe(0);
  });

  it('is ready though a log diverged, and says so; doctor shows it and mends it', async () => {
    const one = await start('api,relay,projector');
    await Promise.all(
      ['a-1', 'a-2', 'a-3', 'a-4', 'a-5', 'a-6'].map((id) => append(one, id, opened, paid(1))),
    );
    const waiting = async () => metric(await metricsOf(one), 'tidemark_outbox_pending{log="account"}');
    await expect.poll(waiting, { timeout: 60_000 }).toBe(0);
    await one.stop();
    // Restored to a moment before.
    await db.query('DELETE FROM tidemark.events WHERE version = 2');
    await db.query(
      `UPDATE tidemark.relay_cursors c SET seq = coalesce((SELECT max(e.seq) FROM tidemark.events e WHERE e.shard = c.shard), 0) WHERE log = 'account'`,
    );
    await db.query(
      `DELETE FROM tidemark.events e WHERE EXISTS (SELECT FROM generate_series(1, e.seq) n WHERE n NOT IN (SELECT x.seq FROM tidemark.events x WHERE x.shard = e.shard))`,
    );
    await db.query('UPDATE tidemark.checkpoints SET seq = 0');
    const two = await start('api,relay');
    const readyz = async () => {
      const answer = await fetch(`${two.urls.http}/readyz`);
      return {
        status: answer.status,
        reasons: ((await answer.json()) as { reasons: string[] }).reasons.join('\n'),
      };
    };
    await expect.poll(readyz, { timeout: 60_000 }).toMatchObject({
      status: 200,
      reasons: expect.stringMatching(/log account, shard \d: Kafka ends with seq .*doctor --new-epoch/),
    });
    expect(metric(await metricsOf(two), 'tidemark_outbox_diverged{log="account"}')).toBe(1);

    const found = await doctor();
    expect(found.code).toBe(1);
    expect(found.stdout).toMatch(/^fail +agreement +log_diverged: account, shard \d: /m);
    const asked = await doctor('--new-epoch');
    expect(asked).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/they agree up to seq \d.*--yes.*\[not_confirmed\]/s),
    });
    const epochs = () =>
      db.query<[string, string]>('SELECT DISTINCT log, epoch FROM tidemark.shards ORDER BY log');
    const before = new Map(await epochs());
    const mended = await doctor('--new-epoch', '--yes', '--json');
    const answer = JSON.parse(mended.stdout) as { ok: boolean; mended: { log: string; epoch: string }[] };
    expect(answer.mended.map(({ log }) => log).toSorted()).toEqual(['account', 'accounts.v1', 'owners.v1']);
    expect(await epochs()).toEqual(answer.mended.map(({ log, epoch }) => [log, epoch]).toSorted());
    for (const { log, epoch } of answer.mended) expect(before.get(log)).not.toBe(epoch);
    await expect.poll(readyz, { timeout: 60_000 }).toEqual({ status: 200, reasons: '' });
    await append(two, 'a-1', paid(9));
    const now = new Map(answer.mended.map(({ log, epoch }) => [log, epoch]));
    const fresh = async () =>
      (await kafka.readAll(`${name}.account`)).filter(
        ({ headers }) => headers['ce_epoch'] === now.get('account'),
      );
    await expect.poll(async () => (await fresh()).at(-1)?.value, { timeout: 60_000 }).toBe('{"cents":9}');
    expect((await doctor('--new-epoch')).stdout).toMatch(
      /^Kafka has nothing that Postgres does not: nothing was done$/m,
    );
  });
});
