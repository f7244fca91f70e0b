/** Builders that are killed or frozen in the middle of a build: whoever comes after goes on, and what is loaded is a fold of the events. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import type { AnyProjection } from '../../../src/domain/projection.js';
import { ensureReadModel } from '../../../src/projections/read-model.js';
import { Accounts, bank, Owners, SHARDS } from '../../support/bank.js';
import { build } from '../../support/building.js';
import { bankEvents, writeEvents } from '../../support/many-events.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { startProjecting, type ProjectingProcess } from '../../support/projecting.js';
import { randomFrom } from '../../support/random.js';
import { readModelFaults } from '../../support/read-model-check.js';

let pg: FreshDatabase;
let on: ProjectingProcess;

beforeEach(async () => {
  pg = await freshDatabase();
  on = await startProjecting(pg.url, bank, { idle: true });
  onTestFinished(async () => {
    await on.stop();
    await pg.drop();
  });
});

const CHILD = fileURLToPath(new URL('../../support/building-child.ts', import.meta.url));

class BuildingChild {
  readonly process: ChildProcess;
  readonly #lines: string[] = [];
  #wake: () => void = () => undefined;
  #ended = false;

  constructor(view: AnyProjection) {
    const args = ['--import', 'tsx', CHILD, pg.url, view.name];
    this.process = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    onTestFinished(() => void this.process.kill('SIGKILL'));
    const { stdout } = this.process;
    if (!stdout) throw new Error('the child has no output');
    this.process.stdin?.on('error', () => undefined);
    const reader = createInterface({ input: stdout });
    reader.on('line', (line) => {
      this.#lines.push(line);
      this.#wake();
    });
    reader.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  /** Lets it go on for some turns, after which it waits. @returns what it ended with, undefined while it waits */
  async turns(count: number): Promise<string | undefined> {
    for (let gone = 0; ;) {
      const end = this.#lines.find((line) => line !== 'turn');
      if (end !== undefined) return end;
      if (this.#ended) return 'nothing';
      if (this.#lines.length >= count) return undefined;
      for (; gone < this.#lines.length; gone++) this.go();
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  go(): void {
    this.process.stdin?.write('.');
  }

  async kill(): Promise<void> {
    const gone = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await gone;
  }
}

async function made(view: AnyProjection, events: number, seed: number): Promise<void> {
  await writeEvents(on.db, 'account', SHARDS, bankEvents(events, seed));
  await begunAnew(view);
}

async function begunAnew(view: AnyProjection): Promise<void> {
  await on.db.query(`DELETE FROM tidemark.projections WHERE name = $1`, [view.name]);
  await on.db.query(`DROP TABLE tidemark.${view.name}__v1 CASCADE`);
  await ensureReadModel(on.db, bank, { rebuildFrom: 0 });
}

test.each([
  ['accounts', Accounts, 20],
  ['owners', Owners, 6],
])(
  '%s: killed again and again, it comes to its end',
  async (_name, view, most) => {
    const seed = Date.now() % 1_000_000;
    const below = randomFrom(seed);
    await made(view, 12_000, seed);
    let kills = 0;
    for (;;) {
      const child = new BuildingChild(view);
      const end = await child.turns(kills < 6 ? 1 + below(most) : Number.POSITIVE_INFINITY);
      if (end !== undefined) {
        expect({ seed, end }).toEqual({ seed, end: 'loaded' });
        break;
      }
      // Where it waits, or wherever it is on its way to the next turn.
      if (below(2) === 0) child.go();
      await child.kill();
      kills++;
    }
    console.log(`seed ${seed}: killed ${kills} times`);
    expect(kills).toBeGreaterThan(0);
    expect({ seed, faults: await readModelFaults(on.db, on.store, view, SHARDS) }).toEqual({
      seed,
      faults: [],
    });
  },
  240_000,
);

/** Whether a loader is in the middle of writing rows. */
async function isWriting(view: AnyProjection): Promise<boolean> {
  const rows = await on.db.query(
    `SELECT FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
     WHERE l.relation = to_regclass($1) AND l.mode = 'RowExclusiveLock' AND a.application_name = 'tidemark:loader'`,
    [`tidemark.${view.name}__v1`],
  );
  return rows.length > 0;
}

/** A builder that stands still in its work; of rows of one stream in the middle of a COPY, so that it holds the table. */
async function inTheMiddle(view: AnyProjection): Promise<BuildingChild> {
  for (;;) {
    const child = new BuildingChild(view);
    for (let turns = 3; (await child.turns(turns)) === undefined; turns++) {
      if (view !== Accounts || (await isWriting(view))) return child;
    }
    // On a busy machine it may come to its end without ever being seen there.
    expect(await child.turns(Number.POSITIVE_INFINITY)).toBe('loaded');
    await begunAnew(view);
  }
}

test.each([
  ['accounts', Accounts],
  ['owners', Owners],
])(
  '%s: a builder that froze and comes back writes nothing, and holds nobody up',
  async (_name, view) => {
    const seed = Date.now() % 1_000_000;
    await made(view, 30_000, seed);
    const frozen = await inTheMiddle(view);
    frozen.process.kill('SIGSTOP');
    expect(await build(pg.url, view, { flushMs: 0 })).toMatchObject({ kind: 'loaded' });
    const rows = async (): Promise<unknown> =>
      on.db.query(
        `SELECT count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) FROM tidemark.${view.name}__v1 t`,
      );
    const before = await rows();
    frozen.process.kill('SIGCONT');
    expect(await frozen.turns(Number.POSITIVE_INFINITY)).toBe('superseded');
    expect(await rows()).toEqual(before);
    expect({ seed, faults: await readModelFaults(on.db, on.store, view, SHARDS) }).toEqual({
      seed,
      faults: [],
    });
  },
  240_000,
);
