/** What `verifyProjection` finds: planted differences of every kind, and none on a projection at work. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { verifyProjection, type VerifyOptions } from '../../../src/projections/verify/verify.js';
import { bank } from '../../support/bank.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { append, startProjecting, type ProjectingProcess } from '../../support/projecting.js';
import { randomFrom } from '../../support/random.js';

let pg: FreshDatabase;
let one: ProjectingProcess;

function withProjector(): void {
  beforeAll(async () => {
    pg = await freshDatabase();
    one = await startProjecting(pg.url, bank);
  });
  afterAll(async () => {
    await one.stop();
    await pg.drop();
  });
}

const OWNERS = ['ann', 'bob', 'eve', 'ida'];
const ownerOf = (n: number): string => OWNERS[n % OWNERS.length] ?? '';
const opened = (owner: string) => ({ type: 'Opened', data: { owner } });
const CLOSED = { type: 'Closed', data: {} };
const paid = (cents: number, owner: string) => ({ type: 'Paid', data: { cents }, tags: { owner } });

/** What the tests damage; put back after each. */
const DAMAGED = ['accounts__v1', 'owners__v1', 'changes', 'shards', 'projections'];

async function accounts(count: number): Promise<void> {
  const half = count >> 1;
  // In two goes: an owner's row has changed more than once then, however large the batches were.
  for (const [from, to] of [
    [0, half],
    [half, count],
  ] as const) {
    const all = Array.from({ length: to - from }, (_, index) => {
      const n = from + index;
      const owner = ownerOf(n);
      const events = [opened(owner), paid(n, owner), paid(5, owner)];
      return append(one.store, 'account', `a-${n}`, n === 7 ? [...events, CLOSED] : events);
    });
    await Promise.all(all);
    await one.caughtUp();
  }
}

const verify = (name: string, options: VerifyOptions = { all: true }) =>
  verifyProjection(one.db, bank, name, options);
const run = (sql: string) => one.db.query(sql);

/** Ways to look at `key` of a projection; each must see the same. */
const waysTo = (key: string): VerifyOptions[] => [
  { all: true },
  { keys: [key, 'x-1'] },
  { sample: 1_000, seed: 5 },
];

describe('thirty accounts of four owners', () => {
  withProjector();
  beforeAll(async () => {
    await accounts(30);
    for (const table of DAMAGED) await run(`CREATE TABLE public.${table} AS TABLE tidemark.${table}`);
  });
  afterEach(async () => {
    for (const table of DAMAGED) {
      await run(`DELETE FROM tidemark.${table}`);
      await run(`INSERT INTO tidemark.${table} SELECT * FROM public.${table}`);
    }
  });

  it('are as their events say, in every way of looking', async () => {
    for (const options of waysTo('a-3')) {
      const found = await verify('accounts', options);
      expect(found).toMatchObject({ differences: 0, listed: [], complete: true });
      expect(found.compared).toBe(options.keys ? 1 : 30);
    }
    for (const options of waysTo('bob')) {
      const found = await verify('owners', options);
      expect(found).toMatchObject({ differences: 0, listed: [], complete: true });
      expect(found.compared).toBe(options.keys ? 1 : 4);
    }
  });

  it.each([
    ['accounts', 'a-3', 'id'],
    ['owners', 'bob', 'owner'],
  ])('in a value: %s', async (name, key, column) => {
    await run(`UPDATE tidemark.${name}__v1 SET cents = cents + 1 WHERE ${column} = '${key}'`);
    for (const options of waysTo(key)) {
      const found = await verify(name, options);
      expect(found.totals).toMatchObject({ wrong: 1, change: 1, missing: 0, extra: 0, unfoldable: 0 });
      const [wrong] = found.listed.filter(({ kind }) => kind === 'wrong');
      expect(wrong).toMatchObject({ key, columns: [{ column: 'cents' }] });
    }
  });

  it.each([
    ['accounts', 'a-3', 'id'],
    ['owners', 'bob', 'owner'],
  ])('a row that is missing: %s', async (name, key, column) => {
    await run(`DELETE FROM tidemark.${name}__v1 WHERE ${column} = '${key}'`);
    for (const options of waysTo(key)) {
      const found = await verify(name, options);
      expect(found.totals).toMatchObject({ missing: 1, wrong: 0, extra: 0 });
      expect(found.listed).toContainEqual(expect.objectContaining({ kind: 'missing', key }));
      if (!options.sample) expect(found.totals.change).toBe(1);
    }
  });

  it.each([
    [
      'accounts',
      'a-7',
      `INSERT INTO tidemark.accounts__v1 (id, owner, cents, payments, log, _rev) VALUES ('a-7', 'x', 1, 1, '[]', 9)`,
    ],
    [
      'accounts',
      'zz',
      `INSERT INTO tidemark.accounts__v1 (id, owner, cents, payments, log, _rev) VALUES ('zz', 'x', 1, 1, '[]', 9)`,
    ],
    [
      'owners',
      'nobody',
      `INSERT INTO tidemark.owners__v1 (owner, cents, events, _rev) VALUES ('nobody', 1, 1, 9)`,
    ],
  ])('a row that should not be there: %s %s', async (name, key, plant) => {
    await run(plant);
    for (const options of waysTo(key)) {
      const found = await verify(name, options);
      expect(found.totals).toMatchObject({ extra: 1, missing: 0, wrong: 0 });
      expect(found.listed).toContainEqual(expect.objectContaining({ kind: 'extra', key }));
      expect(found.listed).toContainEqual(expect.objectContaining({ kind: 'change', key }));
    }
  });

  it.each([
    ['accounts', 'a-3', 'id', '+ 1'],
    ['owners', 'bob', 'owner', '+ 1'],
    ['owners', 'bob', 'owner', '- 1'],
    ['accounts', 'a-3', 'id', '* 1000'],
  ])('a revision that is not the last change: %s %s %s', async (name, key, column, by) => {
    await run(`UPDATE tidemark.${name}__v1 SET _rev = _rev ${by} WHERE ${column} = '${key}'`);
    for (const options of waysTo(key)) {
      const found = await verify(name, options);
      expect(found.totals).toMatchObject({ wrong: 0, missing: 0, extra: 0 });
      expect(found.totals.change).toBeGreaterThan(0);
      expect(found.listed.every((each) => each.kind === 'change' && each.key === key)).toBe(true);
    }
  });

  it('a change that is not the row, a row whose last change says that it is gone', async () => {
    await run(
      `UPDATE tidemark.changes SET "row" = '{"owner":"bob","cents":0,"events":0}' WHERE log = 'owners.v1' AND key = 'bob'`,
    );
    expect(await verify('owners')).toMatchObject({ differences: 1, totals: { change: 1 } });
    await run(`UPDATE tidemark.changes SET "row" = NULL WHERE log = 'owners.v1' AND key = 'bob'`);
    expect((await verify('owners')).totals.change).toBeGreaterThan(0);
  });

  it('counts them all and lists the first few', async () => {
    await run(`UPDATE tidemark.accounts__v1 SET owner = 'thief'`);
    const found = await verify('accounts', { all: true, limit: 3 });
    expect(found.totals).toMatchObject({ wrong: 29, change: 29 });
    expect(found.listed).toHaveLength(3);
  });

  it('passes over what the change log no longer has', async () => {
    await run(`DELETE FROM tidemark.changes WHERE log = 'accounts.v1'`);
    await run(`UPDATE tidemark.shards SET low = 1000 WHERE log = 'accounts.v1'`);
    expect(await verify('accounts')).toMatchObject({ differences: 0, trimmed: 29 });
  });

  it('says that it is not complete when the time is over', async () => {
    expect(await verify('accounts', { all: true, timeoutMs: 0 })).toMatchObject({
      complete: false,
      compared: 0,
    });
  });

  it('ends at once when it is told to', async () => {
    const stop = AbortSignal.abort(new Error('enough'));
    await expect(verify('accounts', { all: true, signal: stop })).rejects.toThrow('enough');
  });

  it('does not compare what is being built', async () => {
    await run(`UPDATE tidemark.projections SET state = 'building', loaded = false WHERE name = 'owners'`);
    await expect(verify('owners')).rejects.toMatchObject({ code: 'wrong_state' });
    await expect(verify('nothing')).rejects.toMatchObject({ code: 'unknown_projection' });
  });
});

describe('many keys, little memory', () => {
  withProjector();
  beforeAll(async () => {
    const events = Array.from({ length: 2_000 }, (_, n) => paid(1, `owner-${n}`));
    await append(one.store, 'account', 'b', events);
    await one.caughtUp();
  });

  it('takes as many passes as it needs', async () => {
    await run(`UPDATE tidemark.owners__v1 SET cents = 9 WHERE owner IN ('owner-1', 'owner-50', 'owner-99')`);
    const found = await verify('owners', { all: true, rowsAtOnce: 300 });
    expect(found).toMatchObject({ totals: { wrong: 3 }, compared: 2_000 });
    expect(found.events).toBeGreaterThan(10_000);
  });

  it('goes on with fewer keys where events make more rows than there are', async () => {
    await run(`DELETE FROM tidemark.owners__v1`);
    const found = await verify('owners', { all: true, rowsAtOnce: 300 });
    expect(found).toMatchObject({ totals: { missing: 2_000 }, compared: 2_000, complete: true });
    expect(found.listed).toHaveLength(50);
  });
});

describe('a projection at work', () => {
  withProjector();
  it('gives no false alarm, however often it is asked', async () => {
    const seed = Date.now() % 1_000_000;
    const next = randomFrom(seed);
    let over = false;
    const writing = (async () => {
      while (!over) {
        const ids = [...new Set(Array.from({ length: 8 }, () => `a-${next(60)}`))];
        await Promise.all(
          ids.map((id) => {
            const owner = ownerOf(next(4));
            const all = [
              opened(owner),
              paid(next(100), owner),
              { type: 'Moved', data: { to: OWNERS, cents: 3 } },
              { type: 'Closed', data: {} },
            ];
            return append(
              one.store,
              'account',
              id,
              Array.from({ length: 3 }, () => all[next(4)] ?? opened(owner)),
            );
          }),
        );
      }
    })();
    const found: Awaited<ReturnType<typeof verify>>[] = [];
    const hasCompared = () => found.some(({ compared }) => compared > 10);
    for (let round = 0; round < 4 || !hasCompared(); round++) {
      for (const name of ['accounts', 'owners'])
        for (const options of [{ all: true }, { sample: 20 }, { keys: ['a-1', 'a-2', 'ann'] }])
          found.push(await verify(name, options));
    }
    over = true;
    await writing;
    const alarms = found.flatMap(({ listed }) => listed);
    expect({ seed, alarms }).toEqual({ seed, alarms: [] });
  });
});
