/** Waiting for work no longer than one wants to. */
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { endedWithin, settled } from '../../../src/platform/pause.js';

const never = new Promise<void>(() => undefined);
const failing = (): Promise<never> => Promise.reject(new Error('broken'));

describe('endedWithin', () => {
  it('tells whether work was done in time', async () => {
    expect(await endedWithin(Promise.resolve('done'), 60_000)).toBe(true);
    expect(await endedWithin(never, 1)).toBe(false);
  });

  it('rejects as work does, and does not when that is later', async () => {
    await expect(endedWithin(failing(), 60_000)).rejects.toThrow('broken');
    let fail: (error: Error) => void = () => undefined;
    const work = new Promise<void>((_resolve, reject) => (fail = reject));
    expect(await endedWithin(work, 1)).toBe(false);
    const unheard: unknown[] = [];
    const hear = (reason: unknown): void => void unheard.push(reason);
    process.on('unhandledRejection', hear);
    fail(new Error('later'));
    await turn();
    await turn();
    process.off('unhandledRejection', hear);
    expect(unheard).toEqual([]);
  });
});

describe('settled', () => {
  it('resolves when work is done, and when it failed', async () => {
    expect(await settled(Promise.resolve('done'))).toBeUndefined();
    expect(await settled(failing())).toBeUndefined();
  });
});
