/** Start and stop may be called twice, in any order, at any time. */
import { expect, test } from 'vitest';
import { service } from '../../../src/platform/lifecycle.js';

function counted(options: { readonly failStart?: Error } = {}) {
  const calls: string[] = [];
  let finishStart = (): void => undefined;
  const gate = new Promise<void>((resolve) => (finishStart = resolve));
  const made = service('counted', {
    async start() {
      calls.push('start');
      await gate;
      if (options.failStart) throw options.failStart;
      calls.push('started');
    },
    async stop() {
      calls.push('stop');
    },
  });
  return { made, calls, finishStart };
}

test('starts once and stops once', async () => {
  const { made, calls, finishStart } = counted();
  finishStart();
  await Promise.all([made.start(), made.start()]);
  await made.start();
  await Promise.all([made.stop(), made.stop()]);
  await made.stop();
  expect(calls).toEqual(['start', 'started', 'stop']);
});

test('a stop waits for the start under way', async () => {
  const { made, calls, finishStart } = counted();
  const starting = made.start();
  const stopping = made.stop();
  expect(calls).toEqual(['start']);
  finishStart();
  await Promise.all([starting, stopping]);
  expect(calls).toEqual(['start', 'started', 'stop']);
});

test('a stop without a start does nothing, and what was stopped does not start', async () => {
  const { made, calls, finishStart } = counted();
  await made.stop();
  expect(calls).toEqual([]);
  finishStart();
  await expect(made.start()).rejects.toThrow(/counted .*stopped/);
  expect(calls).toEqual([]);
});

test('a failed start is told to everyone, and what it left behind is stopped', async () => {
  const { made, calls, finishStart } = counted({ failStart: new Error('no port') });
  finishStart();
  await expect(made.start()).rejects.toThrow('no port');
  await expect(made.start()).rejects.toThrow('no port');
  await made.stop();
  expect(calls).toEqual(['start', 'stop']);
});
