/** Several processes project at once, and are killed, stopped and cut off while they do: nothing is lost or counted twice. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Accounts, bank, Owners, SHARDS } from '../../support/bank.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { append, startProjecting, type ProjectingProcess } from '../../support/projecting.js';
import { randomFrom } from '../../support/random.js';
import { readModelFaults } from '../../support/read-model-check.js';

const PROGRAM = fileURLToPath(new URL('../../support/projecting-child.ts', import.meta.url));

let pg: FreshDatabase;
let one: ProjectingProcess;
let children: ChildProcess[] = [];

async function child(): Promise<ChildProcess> {
  const args = ['--import', 'tsx', PROGRAM, pg.url];
  const started = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(started);
  await once(started.stdout, 'data');
  return started;
}

beforeEach(async () => {
  pg = await freshDatabase();
  one = await startProjecting(pg.url, bank, { idle: true, beatMs: 50 });
  children = [];
});
afterEach(async () => {
  for (const { pid, exitCode, signalCode } of children) {
    if (pid !== undefined && exitCode === null && signalCode === null) process.kill(pid, 'SIGKILL');
  }
  await one.stop();
  await pg.drop();
});

const ROUNDS_AHEAD = 25;
const OWNERS = ['ann', 'bob', 'eve', 'ida', 'leo'];

async function write(seed: number, until: () => boolean): Promise<number> {
  const next = randomFrom(seed);
  let count = 0;
  for (let round = 1; !until(); round++) {
    // Not further ahead than this, or how long the test takes would depend on who is faster.
    if (round % ROUNDS_AHEAD === 0) await one.caughtUp();
    const streams = Array.from({ length: 8 }, () => `a-${next(40)}`);
    await Promise.all(
      [...new Set(streams)].map((id) => {
        const owner = OWNERS[next(OWNERS.length)] ?? '';
        const cents = next(100);
        const others = OWNERS.slice(next(3));
        const all = [
          { type: 'Opened', data: { owner } },
          { type: 'Paid', data: { cents }, tags: { owner } },
          { type: 'Moved', data: { to: others, cents } },
          { type: 'Noted', data: { text: owner } },
          { type: 'Closed', data: {} },
        ];
        const events = Array.from({ length: 1 + next(4) }, () => all[next(all.length)] ?? all[0]);
        count += events.length;
        return append(
          one.store,
          'account',
          id,
          events.flatMap((event) => event ?? []),
        );
      }),
    );
  }
  return count;
}

it('survives kill -9, a standstill and lost connections, with two writers at work all the time', async () => {
  const seed = Date.now() % 1_000_000;
  let over = false;
  const first = await child();
  const writing = write(seed, () => over);
  const second = await child();
  // Stands still, somewhere in its work, past the life of its leases; then comes back as a zombie.
  process.kill(second.pid ?? 0, 'SIGSTOP');
  process.kill(first.pid ?? 0, 'SIGKILL');
  const third = await child();
  await one.caughtUp();
  process.kill(second.pid ?? 0, 'SIGCONT');
  await one.db.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tidemark:leases'`,
  );
  for (let cut = 0; cut < 5; cut++) {
    await one.caughtUp();
    await one.db.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'tidemark:projector' AND query ~ '_apply' AND pid <> pg_backend_pid()`,
    );
  }
  process.kill(third.pid ?? 0, 'SIGKILL');
  await child();
  over = true;
  const count = await writing;
  await one.caughtUp();
  const faults = [
    ...(await readModelFaults(one.db, one.store, Accounts, SHARDS)),
    ...(await readModelFaults(one.db, one.store, Owners, SHARDS)),
  ];
  expect({ seed, faults }).toEqual({ seed, faults: [] });
  expect(count).toBeGreaterThan(0);
});
