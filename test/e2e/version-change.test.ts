/**
 * A projection's version is raised on a running application: two processes of version 1 are rolled to version 2 under a
 * constant load of commands, reads that wait for them, and live subscribers. Nobody ever sees a wrong or half-built row.
 */
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { program, tidemark, type Program } from '../support/command.js';
import { freshDatabase, type FreshDatabase } from '../support/postgres.js';
import { DEPOTS } from './support/parcels.js';
import { Subscriber } from './support/subscriber.js';

const CLIENTS = 8;
/** Parcels that are there, each scanned once or twice, before anything changes. */
const HISTORY = 400;
const TSX = new URL('../../node_modules/tsx/dist/loader.mjs', import.meta.url).href;
const PROCESS = fileURLToPath(new URL('./support/parcels-process.ts', import.meta.url));

interface Row {
  readonly id: string;
  readonly depot: string;
  readonly scans: number;
  readonly place: string | null;
  readonly route?: readonly string[];
}
interface Member {
  readonly version: 1 | 2;
  readonly http: string;
  readonly realtime: string;
  readonly program: Program;
}
interface Readyz {
  readonly ready: boolean;
  readonly reasons: readonly string[];
  readonly projections: Readonly<Record<string, { readonly version: number; readonly ready: boolean }>>;
}

let postgres: FreshDatabase;
beforeAll(async () => {
  postgres = await freshDatabase();
});
afterAll(() => postgres.drop());

async function start(version: 1 | 2): Promise<Member> {
  const env = {
    DATABASE_URL: postgres.url,
    PORT: '0',
    REALTIME_PORT: '0',
    LOG_LEVEL: 'silent',
    VERSION: String(version),
  };
  const one = program(process.execPath, ['--import', TSX, PROCESS], env);
  const [line] = await one.printed(/^\{"http".*\}$/m);
  const { http, realtime } = JSON.parse(line) as { http: string; realtime: string };
  return { version, http, realtime, program: one };
}

/** What a load balancer does: requests go to members that say that they are ready. */
class Balancer {
  readonly members: Member[] = [];
  #turn = 0;

  next(): Member {
    const member = this.members[this.#turn++ % this.members.length];
    if (!member) throw new Error('nobody is ready');
    return member;
  }

  /** New requests go elsewhere first, then it is told to end. */
  async remove(member: Member): Promise<void> {
    this.members.splice(this.members.indexOf(member), 1);
    member.program.child.kill('SIGTERM');
    expect((await member.program.ended).code).toBe(0);
  }
}

const readyz = async ({ http }: Member): Promise<{ status: number; body: Readyz }> => {
  const answer = await fetch(`${http}/readyz`);
  return { status: answer.status, body: (await answer.json()) as Readyz };
};

/** Whatever version made it: it is right at some point of its parcel's way, and whole. */
function checkRow(row: Row, version: 1 | 2): void {
  const places = Array.from({ length: row.scans }, (_, n) => `p${n + 1}`);
  const { id, depot, scans } = row;
  const expected = { id, depot, scans, place: places.at(-1) ?? null };
  expect(row).toEqual(version === 1 ? expected : { ...expected, route: places });
  expect(DEPOTS).toContain(depot);
}

/** Sends parcels on their way, one step after the other, and reads each step back from anyone. */
class Load {
  readonly faults: string[] = [];
  /** Parcel → scans that were acknowledged. */
  readonly acknowledged = new Map<string, number>();
  readonly reads = { 1: 0, 2: 0 };
  readonly #balancer: Balancer;
  #clients: Promise<void>[] = [];
  #parcels = 0;
  #stopped = false;

  constructor(balancer: Balancer) {
    this.#balancer = balancer;
  }

  start(): void {
    this.#clients = Array.from({ length: CLIENTS }, async (_, n) => {
      while (!this.#stopped) await this.#parcel(`live-${n}-${this.#parcels++}`, 6);
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#clients);
  }

  /** What is there before: not read back. */
  async history(count: number): Promise<void> {
    let next = 0;
    const client = async (): Promise<void> => {
      while (next < count) {
        const n = next++;
        await this.#steps(`old-${n}`, 1 + (n % 2), false);
      }
    };
    await Promise.all(Array.from({ length: 32 }, client));
  }

  #parcel(id: string, scans: number): Promise<void> {
    return this.#steps(id, scans, true);
  }

  async #steps(id: string, scans: number, readBack: boolean): Promise<void> {
    const depot = DEPOTS[id.length % 2];
    for (let step = 0; step <= scans; step++) {
      const token = await this.#command(id, step, step === 0 ? ['register', { depot }] : ['scan', {}]);
      this.acknowledged.set(id, step);
      if (readBack) await this.#readBack(id, step, token);
    }
  }

  /** As clients do: the same key again until it is answered. A process that ends may cut a connection. */
  async #command(id: string, step: number, [name, body]: [string, object]): Promise<string> {
    for (let tries = 0; ; tries++) {
      const { http } = this.#balancer.next();
      const answer = await fetch(`${http}/commands/parcel/${id}/${name}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': `${id}-${step}` },
        body: JSON.stringify(body),
      }).catch(() => undefined);
      if (answer?.status === 200) return ((await answer.json()) as { token: string }).token;
      const told = answer && `${answer.status} ${await answer.text()}`;
      if ((answer && answer.status !== 503) || tries > 200) throw new Error(`${name} ${id}: ${told}`);
    }
  }

  async #readBack(id: string, scans: number, token: string): Promise<void> {
    for (let tries = 0; tries < 200; tries++) {
      const { http, version } = this.#balancer.next();
      const path = `/views/parcel_status/${id}?wait=30000&after=${encodeURIComponent(token)}`;
      const answer = await fetch(http + path).catch(() => undefined);
      if (answer?.status === 200) {
        const row = (await answer.json()) as Row;
        try {
          checkRow(row, version);
          expect(row.scans).toBe(scans);
        } catch (error) {
          this.faults.push(`v${version}, ${id} after ${scans}: ${JSON.stringify(row)} ${String(error)}`);
        }
        this.reads[version]++;
        return;
      }
      // A process that stops says so; nothing else may keep a row from whoever was sent to a process that is ready.
      const code = answer && ((await answer.json()) as { code: string }).code;
      if (code !== undefined && code !== 'not_ready')
        return void this.faults.push(`v${version}, ${id}: ${code}`);
    }
    this.faults.push(`${id}: nobody answered`);
  }
}

async function listed(member: Member): Promise<Map<string, Row>> {
  const rows = new Map<string, Row>();
  for (let page: string | null = ''; page !== null;) {
    const at: string = page === '' ? '' : `&page=${encodeURIComponent(page)}`;
    const answer = await fetch(`${member.http}/views/parcel_status?limit=1000${at}`);
    expect(answer.status).toBe(200);
    const body = (await answer.json()) as { items: Row[]; next: string | null };
    for (const row of body.items) {
      checkRow(row, member.version);
      rows.set(row.id, row);
    }
    page = body.next;
  }
  return rows;
}

/** Starts a process of version 2 beside those of version 1, and watches it until it is ready. */
async function rollOut(balancer: Balancer, load: Load): Promise<{ fresh: Member; refusals: Set<string> }> {
  const [old] = balancer.members;
  if (!old) throw new Error('there is no old process');
  const before = await listed(old);
  const fresh = await start(2);
  const refusals = new Set<string>();
  for (;;) {
    const view = await fetch(`${fresh.http}/views/parcel_status?limit=1`);
    const { code } = (await view.json()) as { code?: string };
    const { status, body } = await readyz(fresh);
    // It shows rows only if it is ready, and stays so.
    if (view.status === 200) expect(status).toBe(200);
    else expect([view.status, code]).toEqual([503, 'projection_building']);
    if (status === 200) break;
    for (const reason of body.reasons) refusals.add(reason);
    // Everything else is served.
    expect((await fetch(`${fresh.http}/views/depots?limit=1`)).status).toBe(200);
  }
  // At once, and without any token: it has all that was there when it was started.
  const after = await listed(fresh);
  for (const [id, { scans }] of before) expect(after.get(id)?.scans, id).toBeGreaterThanOrEqual(scans);
  expect(after.size).toBeGreaterThanOrEqual(before.size);
  balancer.members.push(fresh);
  const then = load.reads[2];
  await expect.poll(() => load.reads[2], { timeout: 60_000 }).toBeGreaterThan(then + 20);
  return { fresh, refusals };
}

const sql = async (client: pg.Client, text: string): Promise<unknown[]> =>
  (await client.query({ text, rowMode: 'array' })).rows;

test('a projection changes its version under load', { timeout: 300_000 }, async () => {
  const balancer = new Balancer();
  const load = new Load(balancer);
  const [first, second] = await Promise.all([start(1), start(1)]);
  balancer.members.push(first, second);
  await load.history(HISTORY);
  load.start();
  const url = () => balancer.next().realtime;
  const everything = { view: 'parcel_status' };
  const subscribers = [
    everything,
    everything,
    ...DEPOTS.map((depot) => ({ ...everything, where: { depot } })),
  ].map((sub) => new Subscriber(url, sub));
  await Promise.all(subscribers.map((one) => one.until(() => one.lives > 0)));

  const { fresh: third, refusals } = await rollOut(balancer, load);
  expect([...refusals].every((reason) => /^parcel_status v2 |^the process is starting/.test(reason))).toBe(
    true,
  );
  expect([...refusals].join('\n')).toMatch(/parcel_status v2 is (being built|behind v1)/);
  // The old ones go on as if nothing had happened.
  for (const old of [first, second]) {
    expect(await readyz(old)).toMatchObject({
      status: 200,
      body: { projections: { parcel_status: { version: 1, ready: true } } },
    });
    expect((await listed(old)).size).toBeGreaterThanOrEqual(HISTORY);
  }
  await balancer.remove(first);
  const { fresh: fourth } = await rollOut(balancer, load);
  const v1Reads = load.reads[1];
  await expect.poll(() => load.reads[1], { timeout: 60_000 }).toBeGreaterThan(v1Reads);
  await balancer.remove(second);
  await Promise.all(subscribers.map((one) => one.until(() => one.resets.length > 0 && one.lives > 1)));
  const last = load.reads[2];
  await expect.poll(() => load.reads[2], { timeout: 60_000 }).toBeGreaterThan(last + 50);
  await load.stop();
  expect(load.faults).toEqual([]);

  // Each subscriber was told once to begin anew, and ends with what is in the table.
  await expect
    .poll(async () => sumOf(await listed(third)), { timeout: 60_000 })
    .toBe(sumOf(load.acknowledged));
  const table = await listed(fourth);
  expect(new Map([...table].map(([id, { scans }]) => [id, scans]))).toEqual(load.acknowledged);
  for (const [index, one] of subscribers.entries()) {
    const depot = DEPOTS[index - 2];
    const expected = new Map([...table].filter(([, row]) => depot === undefined || row.depot === depot));
    await one.until(() => sumOf(one.rows) === sumOf(expected));
    expect(one.rows).toEqual(expected);
    expect([one.faults, one.resets]).toEqual([[], ['epoch_changed']]);
    one.close();
  }
  await afterwards([third, fourth], table);
});

/** Of a row, or a number of scans. */
const scansOf = (value: unknown): number =>
  typeof value === 'object' && value !== null && 'scans' in value ? Number(value.scans) : Number(value);
const sumOf = (values: ReadonlyMap<string, unknown>): number =>
  [...values.values()].reduce<number>((sum, value) => sum + scansOf(value), 0);

/** The SQL view is moved and the old version dropped, by the command line; those who serve notice nothing. */
async function afterwards(members: readonly Member[], table: ReadonlyMap<string, Row>): Promise<void> {
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  try {
    const columns = () =>
      sql(
        client,
        `SELECT column_name FROM information_schema.columns WHERE table_schema = 'tidemark' AND table_name = 'parcel_status' ORDER BY ordinal_position`,
      );
    expect(await columns()).toEqual([['id'], ['depot'], ['scans'], ['place']]);
    const operate = async (...args: string[]): Promise<unknown> => {
      const done = await tidemark(['projections', ...args, '--json'], { DATABASE_URL: postgres.url }).ended;
      expect([done.code, done.stderr]).toEqual([0, '']);
      return JSON.parse(done.stdout);
    };
    const prune = (grace: string) =>
      operate('prune', '--grace', grace, '--app', 'test/support/parcels-v2-app.ts');
    expect(await prune('0s')).toMatchObject({ dropped: [] });
    expect(await operate('swap-view', 'parcel_status')).toMatchObject({
      views: [{ from: 1, how: 'replaced' }],
    });
    expect(await columns()).toEqual([['id'], ['depot'], ['scans'], ['place'], ['route']]);
    expect(await sql(client, 'SELECT count(*)::int FROM tidemark.parcel_status')).toEqual([[table.size]]);
    expect(await prune('1h')).toMatchObject({ dropped: [] });
    expect(await prune('0s')).toMatchObject({ dropped: [{ name: 'parcel_status', version: 1 }] });
    expect(await sql(client, `SELECT to_regclass('tidemark.parcel_status__v1')`)).toEqual([[null]]);
    for (const member of members) {
      expect((await readyz(member)).status).toBe(200);
      expect(await listed(member)).toEqual(table);
      const totals = await fetch(`${member.http}/queries/totals`);
      expect(await totals.json()).toEqual({ parcels: table.size, scans: sumOf(table) });
    }
  } finally {
    await client.end();
  }
}
