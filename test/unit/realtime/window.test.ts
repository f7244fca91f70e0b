/** One window by itself: what it holds back, whom it tells, and when it asks. */
import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../../src/platform/logger.js';
import type { RowsSnapshot } from '../../../src/projections/types.js';
import { Change } from '../../../src/realtime/change.js';
import { WindowBudget } from '../../../src/realtime/windows/budget.js';
import { Window, type Concerned } from '../../../src/realtime/windows/window.js';
import { Board, BOARD_LOG } from '../../support/realtime/board.js';

const JOIN_TIMEOUT_MS = 30_000;

class Stage {
  readonly changes: Change[] = [];
  readonly published: string[] = [];
  readonly failures: string[] = [];
  readonly reads: {
    resolve(ids: readonly string[], more: boolean): Promise<void>;
    reject(): Promise<void>;
  }[] = [];
  readonly budget = new WindowBudget({ maxWindows: 1, windowBytes: 10_000 });
  readonly window: Window;
  position = [0];
  epoch = 'e1';

  constructor(options: { readonly maxBytes?: number } = {}) {
    const id = Board.fields.find(({ name }) => name === 'id');
    if (!id) throw new Error('no key');
    const concerned = (change: Change): Concerned => ({ change, row: () => change.row() });
    this.window = new Window({
      spec: { sort: [{ field: id, descending: false }], limit: 2, name: 'id/2' },
      // As it is at the time of the call.
      log: Object.defineProperties(
        {
          position: [0] as readonly number[],
          epoch: 'e1',
          covers: () => true,
          change: (_shard: number, seq: number) => {
            const change = this.changes[seq - 1];
            if (!change) throw new RangeError(`no change ${seq}`);
            return change;
          },
          wait: () => undefined,
          forget: () => undefined,
          check: () => Promise.resolve(),
        },
        { position: { get: () => this.position }, epoch: { get: () => this.epoch } },
      ),
      budget: this.budget,
      logger: silentLogger,
      spare: 0,
      maxBytes: options.maxBytes ?? 5_000,
      joinTimeoutMs: JOIN_TIMEOUT_MS,
      read: () => this.#read(),
      concerned,
      publish: (_at, parts) => void this.published.push(JSON.stringify(parts.map(({ rows }) => rows))),
      failed: (code) => void this.failures.push(code),
    });
  }

  #read(): Promise<RowsSnapshot> {
    return new Promise((resolve, reject) => {
      const settled = async (): Promise<void> => void (await new Promise(setImmediate));
      this.reads.push({
        resolve: (ids, more) => {
          const rows = ids.map((id): [string, number, string] => [id, 1, JSON.stringify({ id })]);
          resolve({ epoch: this.epoch, pos: [[0, this.position[0] ?? 0]], rows, tooMany: more });
          return settled();
        },
        reject: () => {
          reject(new Error('the database went away'));
          return settled();
        },
      });
    });
  }

  /** @param row undefined: it is removed */
  change(key: string, row?: object): void {
    const seq = this.changes.length + 1;
    const change = new Change(
      {
        log: BOARD_LOG,
        shard: 0,
        epoch: 'e1',
        seq,
        key,
        before: null,
        row: row ? JSON.stringify({ id: key, ...row }) : null,
        recordedAt: new Date(seq).toISOString(),
      },
      [],
    );
    this.changes.push(change);
    this.position = [seq];
    this.window.take(0, [{ change, row: () => change.row() }]);
  }

  async open(ids: readonly string[], more: boolean): Promise<void> {
    const settled = this.window.whenSettled();
    await this.reads.shift()?.resolve(ids, more);
    await settled;
    this.published.length = 0;
  }
}

describe('a window', () => {
  it('asks once however many wait, and holds back what leaves a gap until it is filled', async () => {
    const stage = new Stage();
    const waiting = [stage.window.whenSettled(), stage.window.whenSettled()];
    expect(stage.reads).toHaveLength(1);
    await stage.reads.shift()?.resolve(['a', 'b'], true);
    await Promise.all(waiting);
    stage.published.length = 0;
    stage.change('a');
    stage.change('z', { note: 'behind what is known' });
    expect(stage.published).toEqual([]);
    expect(stage.reads).toHaveLength(1);
    await stage.reads.shift()?.resolve(['b', 'c'], true);
    expect(stage.published).toEqual([JSON.stringify([['["a",1,null]', '["c",1,{"id":"c"}]']])]);
    expect([...stage.window.shown.keys()]).toEqual(['b', 'c']);
  });

  it('asks again when it could not be read, and gives up on those who watch when that takes too long', async () => {
    const stage = new Stage();
    await stage.open(['a', 'b'], true);
    stage.change('a');
    await stage.reads.shift()?.reject();
    // Not with every change: by the look at it that comes from time to time.
    stage.change('z', {});
    expect(stage.reads).toHaveLength(0);
    stage.window.check(0);
    expect(stage.reads).toHaveLength(1);
    await stage.reads.shift()?.reject();
    stage.window.check(JOIN_TIMEOUT_MS);
    expect(stage.failures).toEqual([]);
    stage.window.check(JOIN_TIMEOUT_MS + 1);
    expect(stage.failures).toEqual(['unavailable']);
  });

  it('tells those who wait for their first rows at once that they cannot be read', async () => {
    const stage = new Stage();
    const waiting = expect(stage.window.whenSettled()).rejects.toThrow('the database went away');
    await stage.reads.shift()?.reject();
    await waiting;
    await stage.open(['a'], false);
    expect(stage.window.settled).toBe(true);
  });

  it('that grows too large, alone or with others, is given up', async () => {
    const stage = new Stage({ maxBytes: 5_000 });
    await stage.open(['a'], false);
    stage.change('b', { note: 'x'.repeat(3_000) });
    expect(stage.failures).toEqual(['too_many_rows']);
    const other = new Stage({ maxBytes: 50_000 });
    await other.open(['a'], false);
    expect(other.budget.room).toBe(false);
    other.change('b', { note: 'x'.repeat(6_000) });
    expect(other.failures).toEqual(['too_many_windows']);
    other.window.close();
    expect(other.budget.room).toBe(true);
  });

  it('that was empty, grew, and shrank asks for what it let go', async () => {
    const stage = new Stage();
    await stage.open([], false);
    for (const key of ['a', 'b', 'c', 'd']) stage.change(key, {});
    for (const key of ['a', 'b', 'c']) stage.change(key);
    expect(stage.failures).toEqual([]);
    await stage.reads.shift()?.resolve(['d'], false);
    expect([...stage.window.shown.keys()]).toEqual(['d']);
  });

  it('of rows so large that a read brings fewer than it shows cannot be shown', async () => {
    const stage = new Stage();
    void stage.window.whenSettled();
    await stage.reads.shift()?.resolve(['a'], true);
    expect(stage.failures).toEqual(['too_many_rows']);
    expect(stage.reads).toHaveLength(0);
  });
});
