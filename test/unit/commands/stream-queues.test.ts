/** One stream's jobs in order, streams side by side, everything bounded. */
import { describe, expect, it } from 'vitest';
import { StreamQueues } from '../../../src/commands/stream-queues.js';
import { TidemarkError } from '../../../src/platform/errors.js';

const LIMITS = { maxWaitingPerStream: 2, maxInFlight: 4, maxInFlightBytes: 1_000, maxWaitMs: 100 };

function handClock() {
  let at = 0;
  return { now: () => at, monotonic: () => at, advance: (ms: number) => (at += ms) };
}

/** A job that ends when it is told to. */
function gate() {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { job: () => opened, open };
}

function queues(limits: Partial<typeof LIMITS> = {}) {
  const clock = handClock();
  return { clock, queues: new StreamQueues({ ...LIMITS, ...limits }, clock) };
}

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'answered',
    (error: unknown) => (error instanceof TidemarkError ? error.code : error),
  );

describe('StreamQueues', () => {
  it('runs the jobs of a stream one after another, in the order they came', async () => {
    const { queues: q } = queues();
    const first = gate();
    const order: string[] = [];
    const running = [
      q.run('a', 1, async () => {
        await first.job();
        order.push('1');
      }),
      q.run('a', 1, async () => void order.push('2')),
      q.run('a', 1, async () => void order.push('3')),
      q.run('b', 1, async () => void order.push('other')),
    ];
    await running[3];
    expect(order).toEqual(['other']);
    first.open();
    await Promise.all(running);
    expect(order).toEqual(['other', '1', '2', '3']);
    expect(q.depth).toEqual({ inFlight: 0, waiting: 0, inFlightBytes: 0 });
  });

  it('goes on after a job that fails, and hands the failure to its caller only', async () => {
    const { queues: q } = queues();
    const failing = q.run('a', 1, async () => {
      throw new Error('mine');
    });
    const next = q.run('a', 1, async () => 'fine');
    await expect(failing).rejects.toThrow('mine');
    await expect(next).resolves.toBe('fine');
  });

  it('refuses what is over the bound of a stream, of the process, and of bytes', async () => {
    const { queues: q } = queues();
    const { job, open } = gate();
    const held = [q.run('a', 1, job), q.run('a', 1, job), q.run('a', 1, job)];
    expect(await codeOf(q.run('a', 1, job))).toBe('too_many_requests');
    expect(await codeOf(q.run('b', 998, job))).toBe('overloaded');
    held.push(q.run('b', 997, job));
    expect(await codeOf(q.run('c', 0, job))).toBe('overloaded');
    expect(q.depth).toEqual({ inFlight: 4, waiting: 2, inFlightBytes: 1_000 });
    open();
    await Promise.all(held);
    expect(await codeOf(q.run('a', 5_000, job))).toBe('answered');
  });

  it('gives up a job that waited too long, undecided', async () => {
    const { queues: q, clock } = queues();
    const { job, open } = gate();
    let ran = false;
    const first = q.run('a', 1, job);
    const late = codeOf(q.run('a', 1, async () => void (ran = true)));
    clock.advance(LIMITS.maxWaitMs + 1);
    open();
    await first;
    expect(await late).toBe('too_many_requests');
    expect(ran).toBe(false);
  });

  it('takes a waiting job out when its signal aborts, and leaves a running one alone', async () => {
    const { queues: q } = queues();
    const { job, open } = gate();
    const controller = new AbortController();
    const running = q.run('a', 1, job, controller.signal);
    const waiting = codeOf(q.run('a', 1, job, controller.signal));
    const behind = q.run('a', 1, async () => 'behind');
    controller.abort(new TidemarkError('request_aborted', 'gone'));
    expect(await waiting).toBe('request_aborted');
    expect(await codeOf(q.run('a', 1, job, controller.signal))).toBe('request_aborted');
    open();
    await running;
    await expect(behind).resolves.toBe('behind');
    expect(q.depth.inFlight).toBe(0);
  });

  it('tells when it is drained', async () => {
    const { queues: q } = queues();
    await q.drained();
    const { job, open } = gate();
    const running = q.run('a', 1, job);
    let drained = false;
    const draining = q.drained().then(() => (drained = true));
    await Promise.resolve();
    expect(drained).toBe(false);
    open();
    await Promise.all([running, draining]);
  });
});
