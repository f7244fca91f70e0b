/** Starting in order, stopping in reverse, and a stop that hangs. */
import { describe, expect, it } from 'vitest';
import { stackOf, type Layer } from '../../../src/app/stack.js';
import { createLogger, silentLogger } from '../../../src/platform/logger.js';

const never = new Promise<void>(() => undefined);

function recorded(log: string[], name: string, more: Partial<Layer> = {}): Layer {
  return {
    name,
    start: async () => void log.push(`start ${name}`),
    stop: async () => void log.push(`stop ${name}`),
    ...more,
  };
}

describe('stackOf', () => {
  it('starts in order and stops in reverse, each once however often it is asked', async () => {
    const log: string[] = [];
    const stack = stackOf('all', [recorded(log, 'a'), recorded(log, 'b')], {
      logger: silentLogger,
      stopTimeoutMs: 1_000,
    });
    await Promise.all([stack.start(), stack.start()]);
    await Promise.all([stack.stop(), stack.stop()]);
    await stack.stop();
    expect(log).toEqual(['start a', 'start b', 'stop b', 'stop a']);
  });

  it('stops what was started when one cannot start, and tells why', async () => {
    const log: string[] = [];
    const failing = recorded(log, 'b', { start: () => Promise.reject(new Error('no room')) });
    const stack = stackOf('all', [recorded(log, 'a'), failing, recorded(log, 'c')], {
      logger: silentLogger,
      stopTimeoutMs: 1_000,
    });
    await expect(stack.start()).rejects.toThrow('no room');
    await stack.stop();
    expect(log).toEqual(['start a', 'stop b', 'stop a']);
  });

  it('goes on past a layer that does not stop or fails to, within the budget', async () => {
    const log: string[] = [];
    const lines: string[] = [];
    const layers = [
      recorded(log, 'a'),
      recorded(log, 'b', { stop: () => never, cut: () => void log.push('cut b') }),
      recorded(log, 'c', { stop: () => Promise.reject(new Error('broken')) }),
    ];
    const logger = createLogger({ level: 'info', destination: { write: (line) => void lines.push(line) } });
    const stack = stackOf('all', layers, { logger, stopTimeoutMs: 200 });
    await stack.start();
    await stack.stop();
    expect(log.slice(3)).toEqual(['cut b', 'stop a']);
    expect(lines.some((line) => line.includes('did not stop in time') && line.includes('"b"'))).toBe(true);
    expect(lines.some((line) => line.includes('broken'))).toBe(true);
  });

  it('a stop during the start waits for the layer under way and starts no more', async () => {
    const log: string[] = [];
    let go: () => void = () => undefined;
    const slow = recorded(log, 'a', { start: () => new Promise<void>((resolve) => (go = resolve)) });
    const stack = stackOf('all', [slow, recorded(log, 'b')], { logger: silentLogger, stopTimeoutMs: 1_000 });
    const starting = stack.start();
    const stopping = stack.stop();
    go();
    await Promise.all([starting, stopping]);
    expect(log).toEqual(['stop a']);
  });

  it('stopping what never started does nothing', async () => {
    const log: string[] = [];
    await stackOf('all', [recorded(log, 'a')], { logger: silentLogger, stopTimeoutMs: 1_000 }).stop();
    expect(log).toEqual([]);
  });
});
