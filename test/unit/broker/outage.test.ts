/** What a feed says of a Kafka that is away: once when it begins, now and then while it lasts, and once when it is over. */
import { describe, expect, it } from 'vitest';
import { Outage } from '../../../src/broker/kafka/outage.js';
import { createLogger } from '../../../src/platform/logger.js';

const MINUTE = 60_000;

function watched() {
  const lines: string[] = [];
  const logger = createLogger({ level: 'info', destination: { write: (line) => void lines.push(line) } });
  let now = 0;
  const outage = new Outage({ logger, log: 'order', now: () => now });
  return {
    lost: (at: number) => {
      now = at;
      outage.lost(new Error('no broker'));
    },
    over: (at: number) => {
      now = at;
      outage.over();
    },
    said: () => lines.splice(0).map((line) => /"level":"(\w+)"/.exec(line)?.[1]),
    lines,
  };
}

describe('an outage', () => {
  it('is told once, with its reason and without a stack, and once more when it is over', () => {
    const { lost, over, said, lines } = watched();
    lost(0);
    expect(lines[0]).toContain('"log":"order","reason":"no broker"');
    expect(lines[0]).not.toContain('stack');
    for (let at = 1_000; at < 4 * MINUTE; at += 1_000) lost(at);
    expect(said()).toEqual(['warn']);
    over(4 * MINUTE);
    over(4 * MINUTE + 1);
    expect(said()).toEqual(['info']);
  });

  it('is told again while it lasts, and when it comes again', () => {
    const { lost, over, said } = watched();
    lost(0);
    lost(5 * MINUTE);
    expect(said()).toEqual(['warn', 'warn']);
    over(6 * MINUTE);
    lost(7 * MINUTE);
    expect(said()).toEqual(['info', 'warn']);
  });

  it('fills no log where a broker comes and goes', () => {
    const { lost, over, said } = watched();
    for (let at = 0; at < 10_000; at += 500) {
      lost(at);
      over(at + 250);
    }
    expect(said()).toEqual(['warn', 'info']);
  });

  it('that never was is not over', () => {
    const { over, said } = watched();
    over(0);
    expect(said()).toEqual([]);
  });
});
