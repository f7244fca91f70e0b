/** Leases on a real Postgres: spread, elected, taken over, given back. */
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { silentLogger as logger } from '../../../src/platform/logger.js';
import { Database } from '../../../src/platform/postgres/database.js';
import { Leases, type Lease, type Participation } from '../../../src/platform/postgres/leases.js';
import { migrate } from '../../../src/platform/postgres/migrate.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

interface Member {
  readonly leases: Leases;
  readonly pulse: Database;
  /** scope → item → term */
  readonly held: Map<string, Map<number, number>>;
  readonly log: string[];
  join(scope: string, items: number, lost?: (lease: Lease) => Promise<void>): Participation;
}

let pg: FreshDatabase;
let db: Database;
let members: Member[] = [];

const open = (role: string, max: number): Database =>
  new Database({ connectionString: pg.url, schema: 'tidemark', role, logger, max });

async function member(options: { ttlMs?: number; beatMs?: number } = {}): Promise<Member> {
  const pulse = open('leases', 1);
  const leases = new Leases({ db: pulse, logger, beatMs: 30, ttlMs: 600_000, ...options });
  const held = new Map<string, Map<number, number>>();
  const log: string[] = [];
  await leases.start();
  const made: Member = {
    leases,
    pulse,
    held,
    log,
    join(scope, items, lost = () => Promise.resolve()) {
      const own = new Map<number, number>();
      held.set(scope, own);
      return leases.join(scope, items, {
        gained: ({ item, term }) => {
          own.set(item, term);
          log.push(`${scope}+${item}`);
        },
        lost: async (lease) => {
          await lost(lease);
          own.delete(lease.item);
          log.push(`${scope}-${lease.item}`);
        },
      });
    },
  };
  members.push(made);
  return made;
}

const counts = (scope: string): number[] => members.map(({ held }) => held.get(scope)?.size ?? 0);
const settles = (scope: string, expected: readonly number[]): Promise<void> =>
  expect
    .poll(() => counts(scope), { timeout: 60_000, interval: 10 })
    .toEqual(expected)
    .then();

beforeEach(async () => {
  pg = await freshDatabase();
  db = open('test', 2);
  await migrate(db);
  members = [];
});
afterEach(async () => {
  for (const { leases, pulse } of members) {
    await leases.stop();
    await pulse.end();
  }
  await db.end();
  await pg.drop();
});

describe('leases', () => {
  it('spread evenly as members come and go, each to one member at a time', async () => {
    const one = await member();
    const first = one.join('s', 7);
    await settles('s', [7]);
    (await member()).join('s', 7);
    await settles('s', [4, 3]);
    (await member()).join('s', 7);
    await expect.poll(() => counts('s').toSorted(), { timeout: 60_000 }).toEqual([1, 3, 3]);
    const holders = members.flatMap(({ held }) => [...(held.get('s')?.keys() ?? [])]);
    expect(holders.toSorted()).toEqual([0, 1, 2, 3, 4, 5, 6]);
    await first.leave();
    await expect.poll(() => counts('s').toSorted(), { timeout: 60_000 }).toEqual([0, 3, 4]);
    expect(one.log.filter((entry) => entry.startsWith('s-'))).toHaveLength(7);
  });

  it('elects one of many, and the next when it stops', async () => {
    const [one, two, three] = [await member(), await member(), await member()];
    one.join('writer', 1);
    await settles('writer', [1, 0, 0]);
    two.join('writer', 1);
    three.join('writer', 1);
    expect(one.held.get('writer')?.get(0)).toBe(1);
    await one.leases.stop();
    await expect.poll(() => counts('writer').slice(1).toSorted(), { timeout: 60_000 }).toEqual([0, 1]);
    const terms = [two, three].flatMap(({ held }) => [...(held.get('writer')?.values() ?? [])]);
    expect(terms).toEqual([2]);
  });

  it('are taken over at once when the holder is gone', async () => {
    const one = await member({ ttlMs: 600_000 });
    one.join('s', 3);
    await settles('s', [3]);
    await one.pulse.end();
    (await member()).join('s', 3);
    await settles('s', [3, 3]);
  });

  it('are surely held for a part of their life after each beat, and no longer', async () => {
    // Its own clock goes when it is told to: Postgres goes by another.
    const begun = performance.now();
    const clock = vi.spyOn(performance, 'now').mockReturnValue(begun);
    onTestFinished(() => clock.mockRestore());
    const one = await member({ ttlMs: 400, beatMs: 600_000 });
    one.join('s', 1);
    await settles('s', [1]);
    const lease = { scope: 's', item: 0, holder: one.leases.member, term: one.held.get('s')?.get(0) ?? 0 };
    expect(one.leases.sure(lease)).toBe(true);
    expect(one.leases.sure({ ...lease, term: lease.term + 1 })).toBe(false);
    expect(one.leases.sure({ ...lease, item: 1 })).toBe(false);
    clock.mockReturnValue(begun + 299);
    expect(one.leases.sure(lease)).toBe(true);
    clock.mockReturnValue(begun + 300);
    expect(one.leases.sure(lease)).toBe(false);
    clock.mockRestore();
    // Not sure before anybody else can have it.
    const two = await member();
    two.join('s', 1);
    expect(two.held.get('s')?.size).toBe(0);
    await settles('s', [1, 1]);
    expect(one.held.get('s')?.get(0)).toBe(lease.term);
  });

  it('are not surely held once their connection is lost, until the next beat', async () => {
    const one = await member({ ttlMs: 600_000, beatMs: 600_000 });
    const scope = one.join('s', 1);
    await settles('s', [1]);
    const lease = { scope: 's', item: 0, holder: one.leases.member, term: one.held.get('s')?.get(0) ?? 0 };
    expect(one.leases.sure(lease)).toBe(true);
    await db.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tidemark:leases'`,
    );
    await expect.poll(() => one.leases.sure(lease)).toBe(false);
    // Whoever joins has it beat: nobody took the lease meanwhile.
    one.join('other', 1);
    await expect.poll(() => one.leases.sure(lease)).toBe(true);
    await scope.leave();
    expect(one.leases.sure(lease)).toBe(false);
  });

  it('that one cannot use go to others, though they have their share', async () => {
    const one = await member();
    const first = one.join('s', 4);
    await settles('s', [4]);
    const two = await member();
    two.join('s', 4);
    await settles('s', [2, 2]);
    const [item = 0] = one.held.get('s')?.keys() ?? [];
    one.held.get('s')?.delete(item);
    await first.yieldFor(item, 600_000);
    await settles('s', [1, 3]);
    expect([...(two.held.get('s')?.keys() ?? [])]).toContain(item);
    // It stays there: it counts in nobody's share.
    const others = async () =>
      (await db.query(`SELECT item, term FROM tidemark.leases WHERE scope = 's' ORDER BY item`)).join(' ');
    const before = await others();
    const beats = two.join('beats', 1);
    await settles('beats', [0, 1]);
    await beats.leave();
    expect(await others()).toBe(before);
    expect(counts('s')).toEqual([1, 3]);
  });

  it('are taken over after a while when the holder stands still, who then learns that it lost them', async () => {
    const one = await member({ ttlMs: 100, beatMs: 600_000 });
    one.join('s', 2);
    await settles('s', [2]);
    (await member()).join('s', 2);
    await settles('s', [2, 2]);
    // The next beat, whatever brings it about, tells.
    one.join('other', 1);
    await expect
      .poll(() => one.log.filter((entry) => entry.startsWith('s')).slice(0, 4))
      .toEqual(['s+0', 's+1', 's-0', 's-1']);
  });

  it('are given over only when nothing runs under them any more', async () => {
    let release: () => void = () => undefined;
    const busy = new Promise<void>((resolve) => (release = resolve));
    const one = await member();
    one.join('s', 2, () => busy);
    await settles('s', [2]);
    const two = await member();
    two.join('s', 2);
    two.join('other', 1);
    // Two beats of the second: it takes what is free, and that is not the first's.
    await settles('other', [0, 1]);
    expect(counts('s')).toEqual([2, 0]);
    release();
    await settles('s', [1, 1]);
  });

  it('can be left to others for a while', async () => {
    const one = await member();
    const own = one.join('s', 2);
    await settles('s', [2]);
    await own.yieldFor(1, 60_000);
    const [row] = await db.query(`SELECT holder FROM tidemark.leases WHERE scope = 's' AND item = 1`);
    expect(row).toEqual([null]);
    one.held.get('s')?.delete(1);
    one.join('other', 1);
    await settles('other', [1]);
    expect(counts('s')).toEqual([1]);
    (await member()).join('s', 2);
    await settles('s', [1, 1]);
  });

  it('survive a database that cuts the connection', async () => {
    const one = await member();
    one.join('s', 2);
    await settles('s', [2]);
    await db.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tidemark:leases' AND datname = current_database()`,
    );
    one.join('other', 1);
    await settles('other', [1]);
    expect(counts('s')).toEqual([2]);
  });
});
