/** The line of builds under the log of a terminal. */
import { beforeEach, expect, test } from 'vitest';
import { BuildBar } from '../../../src/cli/build-bar.js';
import type { ProjectionStatus } from '../../../src/projections/types.js';

let written: string[];
const terminal = (isTTY: boolean) => ({
  isTTY,
  columns: 60,
  write: (text: string | Uint8Array) => {
    written.push(String(text));
    return true;
  },
});
beforeEach(() => {
  written = [];
});

const status = (name: string, events?: number): ProjectionStatus => ({
  name,
  version: 2,
  state: events === undefined ? 'live' : 'building',
  lag: 0,
  behindMs: 0,
  parkedKeys: 0,
  ...(events === undefined
    ? {}
    : {
        progress: {
          startedAt: '2026-01-01T00:00:00.000Z',
          phase: 'loading',
          events,
          total: 200,
          perSecond: 10,
        },
      }),
});

test('shows what is being built, on one line of the terminal', () => {
  const bar = new BuildBar(terminal(true));
  bar.show([status('orders', 50), status('totals', 1), status('other')]);
  expect(written).toHaveLength(1);
  const [clear, line] = [written[0]?.slice(0, 4), written[0]?.slice(4)];
  expect(clear).toBe('\r\u001b[K');
  expect(line).toMatch(/^orders v2 \[#####---------------\] 25%, 50 of 200 /);
  expect(line).toHaveLength(59);
});

test('is written again only when it has changed, and goes when nothing is built', () => {
  const bar = new BuildBar(terminal(true));
  bar.show([status('orders', 50)]);
  bar.show([status('orders', 50)]);
  bar.show([status('orders', 60)]);
  bar.show([status('orders')]);
  bar.stop();
  expect(written).toHaveLength(3);
  expect(written.at(-1)).toBe('\r\u001b[K');
});

test('the log goes above it', () => {
  const bar = new BuildBar(terminal(true));
  bar.above(() => written.push('first\n'));
  bar.show([status('orders', 50)]);
  bar.above(() => written.push('second\n'));
  expect(written).toEqual(['first\n', expect.any(String), '\r\u001b[K', 'second\n', written[1]?.slice(4)]);
});

test('writes nothing where there is no terminal', () => {
  const bar = new BuildBar(terminal(false));
  expect(bar.isShown).toBe(false);
  bar.start({ statuses: () => [status('orders', 50)] });
  bar.stop();
  expect(written).toEqual([]);
});
