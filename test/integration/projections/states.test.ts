/** The table of moves on a real Postgres: no state is out of reach, and nothing happens that the table does not have. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  move,
  MOVES,
  PROJECTION_STATES,
  type ProjectionMove,
  type ProjectionState,
} from '../../../src/projections/states.js';
import { bank } from '../../support/bank.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { startProjecting, type ProjectingProcess } from '../../support/projecting.js';

const version = { name: 'accounts', version: 1 };
const ALL_MOVES = [...new Set(PROJECTION_STATES.flatMap((state) => Object.keys(MOVES[state])))].filter(
  (name): name is ProjectionMove => PROJECTION_STATES.some((state) => name in MOVES[state]),
);

let pg: FreshDatabase;
let one: ProjectingProcess;

beforeAll(async () => {
  pg = await freshDatabase();
  one = await startProjecting(pg.url, bank, { idle: true });
  // Whoever else makes moves would be in the way.
  await one.registry.stop();
});
afterAll(async () => {
  await one.stop();
  await pg.drop();
});

async function stored(): Promise<readonly [state: ProjectionState, reason: string | null]> {
  const [row] = await one.db.query<[ProjectionState, string | null]>(
    `SELECT state, reason FROM tidemark.projections WHERE name = 'accounts' AND version = 1`,
  );
  if (!row) throw new Error('the version is gone');
  return row;
}
const put = (state: ProjectionState) =>
  one.db.query(`UPDATE tidemark.projections SET state = $1 WHERE name = 'accounts'`, [state]);

describe('the table', () => {
  const reachable = (from: ProjectionState): Set<ProjectionState> => {
    const found = new Set([from]);
    for (const state of found) for (const next of Object.values(MOVES[state])) found.add(next);
    return found;
  };

  it('leads from every state to every other', () => {
    for (const state of PROJECTION_STATES)
      expect([...reachable(state)].toSorted()).toEqual([...PROJECTION_STATES].toSorted());
  });

  it('is the only way: no other statement changes a state', () => {
    const folder = path.join(import.meta.dirname, '../../../src');
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.ts'),
    );
    const setting = files.filter((name) =>
      /table\('projections'\)\}[^`]*\bSET\b[^`]*\bstate\s*=/.test(
        readFileSync(path.join(folder, name), 'utf8').replaceAll(/WHERE[^`]*/g, ''),
      ),
    );
    expect(setting).toEqual(['projections/states.ts']);
  });
});

describe('moves on a real database', () => {
  it('go where the table says, or nowhere', async () => {
    const moves = fc.array(fc.constantFrom(...ALL_MOVES), { minLength: 1, maxLength: 25 });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...PROJECTION_STATES), moves, async (start, sequence) => {
        await put(start);
        let state = start;
        for (const [n, what] of sequence.entries()) {
          const next = MOVES[state][what];
          expect(await move(one.db, version, what, `because ${n}`)).toBe(next);
          const [is, reason] = await stored();
          expect(is).toBe(next ?? state);
          if (next !== undefined) expect(reason).toBe(`because ${n}`);
          state = is;
        }
      }),
      { numRuns: 25 },
    );
  });

  it('of several processes at once come to what one after the other could have come to', async () => {
    const outcomes = (state: ProjectionState, left: readonly ProjectionMove[]): string[] => {
      if (left.length === 0) return [state];
      return left.flatMap((what, n) => outcomes(MOVES[state][what] ?? state, left.toSpliced(n, 1)));
    };
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...PROJECTION_STATES),
        fc.array(fc.constantFrom(...ALL_MOVES), { minLength: 2, maxLength: 4 }),
        async (start, together) => {
          await put(start);
          await Promise.all(together.map((what) => move(one.db, version, what)));
          const [state] = await stored();
          expect(outcomes(start, together)).toContain(state);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('of a version that is not there go nowhere', async () => {
    expect(await move(one.db, { name: 'accounts', version: 9 }, 'retire')).toBeUndefined();
  });
});
