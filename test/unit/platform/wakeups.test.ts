/** Hints are gathered per turn of the loop, and never reach who no longer listens. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { progressLog, Wakeups } from '../../../src/platform/wakeups.js';

function listening(log: string) {
  const wakeups = new Wakeups();
  const heard: [number, number][] = [];
  const stop = wakeups.on(log, (shard, seq) => heard.push([shard, seq]));
  return { wakeups, heard, stop };
}

describe('hints', () => {
  test('come after the turn, once a shard, with the furthest seq', async () => {
    const { wakeups, heard } = listening('order');
    wakeups.hint('order', 3, 7);
    wakeups.announce('order', 3, 9);
    wakeups.hint('order', 3, 8);
    wakeups.hint('order', 1);
    wakeups.hint('payment', 3, 100);
    expect(heard).toEqual([]);
    await nextTurn();
    expect(heard).toEqual([
      [3, 9],
      [1, 0],
    ]);
    await nextTurn();
    expect(heard).toHaveLength(2);
  });

  test('a hint from within a listener comes in a later turn', async () => {
    const wakeups = new Wakeups();
    const heard: number[] = [];
    wakeups.on('order', (_shard, seq) => {
      heard.push(seq);
      if (seq < 3) wakeups.hint('order', 0, seq + 1);
    });
    wakeups.hint('order', 0, 1);
    await nextTurn();
    expect(heard).toEqual([1]);
    await nextTurn();
    await nextTurn();
    expect(heard).toEqual([1, 2, 3]);
  });

  test('every listener hears, and one that ended does not, also when it ended in the same turn', async () => {
    const { wakeups, heard, stop } = listening('order');
    const others: number[] = [];
    const stopOther = wakeups.on('order', (shard) => others.push(shard));
    wakeups.hint('order', 1);
    await nextTurn();
    stop();
    wakeups.hint('order', 2);
    await nextTurn();
    expect(heard).toEqual([[1, 0]]);
    expect(others).toEqual([1, 2]);
    wakeups.hint('order', 3);
    stopOther();
    stopOther();
    await nextTurn();
    expect(others).toEqual([1, 2]);
  });

  test('a listener that another one ends is not called any more', async () => {
    const wakeups = new Wakeups();
    const heard: number[] = [];
    wakeups.on('order', () => stop());
    const stop = wakeups.on('order', (shard) => heard.push(shard));
    wakeups.hint('order', 1);
    await nextTurn();
    expect(heard).toEqual([]);
  });

  test('a hint that nobody waited for is not kept', async () => {
    const wakeups = new Wakeups();
    wakeups.hint('order', 1, 5);
    const heard: number[] = [];
    wakeups.on('order', (shard) => heard.push(shard));
    await nextTurn();
    expect(heard).toEqual([]);
  });

  test('a listener that throws takes no hint from the others, and is told of', async () => {
    const thrown: unknown[] = [];
    const wakeups = new Wakeups((error) => thrown.push(error));
    const heard: number[] = [];
    wakeups.on('order', (shard) => {
      throw new Error(`listener ${shard}`);
    });
    wakeups.on('order', (shard) => heard.push(shard));
    wakeups.hint('order', 1);
    wakeups.hint('order', 2);
    await nextTurn();
    expect(heard).toEqual([1, 2]);
    expect(thrown).toEqual([new Error('listener 1'), new Error('listener 2')]);
  });
});

test('progress of different projections, versions and sources has different names', () => {
  const names = [
    progressLog('a', 1, 'b'),
    progressLog('a', 2, 'b'),
    progressLog('a', 1, 'c'),
    progressLog('b', 1, 'b'),
  ];
  expect(new Set(names).size).toBe(names.length);
});
