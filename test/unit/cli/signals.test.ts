/** Which signals count as a second one. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { listenToSignals } from '../../../src/cli/signals.js';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => void vi.useRealTimers());

test('one Ctrl-C that arrives twice is one; a later one is a second', async () => {
  const again = vi.fn();
  const signals = listenToSignals(again);
  process.emit('SIGINT', 'SIGINT');
  vi.advanceTimersByTime(50);
  process.emit('SIGINT', 'SIGINT');
  expect(await signals.first).toBe('SIGINT');
  expect(again).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1_000);
  process.emit('SIGTERM', 'SIGTERM');
  expect(again).toHaveBeenCalledExactlyOnceWith('SIGTERM');
  signals.ignore();
  expect(process.listenerCount('SIGHUP')).toBe(0);
});
