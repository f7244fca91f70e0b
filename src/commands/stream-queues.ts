/**
 * Commands of one stream run one after another; those of different streams side by side. Everything that waits is
 * bounded: per stream, in number and in bytes.
 */
import { TidemarkError } from '../platform/errors.js';
import type { Clock } from '../platform/clock.js';
import type { CommandOptions } from './options.js';

type QueueLimits = Pick<
  CommandOptions,
  'maxWaitingPerStream' | 'maxInFlight' | 'maxInFlightBytes' | 'maxWaitMs'
>;

interface Ticket {
  readonly queuedAt: number;
  /** Runs the job to its end; never rejects. */
  run(waitedMs: number): Promise<void>;
}

const RETRY_SECONDS = 1;

export class StreamQueues {
  /** Streams on which a job runs, with those that wait for it. */
  readonly #streams = new Map<string, Ticket[]>();
  readonly #limits: QueueLimits;
  readonly #clock: Clock;
  readonly #idle: (() => void)[] = [];
  #inFlight = 0;
  #waiting = 0;
  #bytes = 0;

  constructor(limits: QueueLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  get depth(): { readonly inFlight: number; readonly waiting: number; readonly inFlightBytes: number } {
    return { inFlight: this.#inFlight, waiting: this.#waiting, inFlightBytes: this.#bytes };
  }

  /**
   * Runs `job` once all jobs of `stream` that came before have ended.
   * @param bytes what the job holds in memory while it waits and runs
   * @param signal takes the job out while it waits; once it runs, it runs to its end
   * @throws TidemarkError `too_many_requests` (this stream), `overloaded` (this process); whatever `job` throws; the
   *   signal’s reason
   */
  async run<T>(
    stream: string,
    bytes: number,
    job: (waitedMs: number) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    signal?.throwIfAborted();
    this.#admit(stream, bytes);
    this.#inFlight++;
    this.#bytes += bytes;
    try {
      return await this.#enqueue(stream, job, signal);
    } finally {
      this.#inFlight--;
      this.#bytes -= bytes;
      if (this.#inFlight === 0) for (const wake of this.#idle.splice(0)) wake();
    }
  }

  /** Resolves when nothing waits or runs. */
  async drained(): Promise<void> {
    if (this.#inFlight > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #admit(stream: string, bytes: number): void {
    const { maxInFlight, maxInFlightBytes, maxWaitingPerStream } = this.#limits;
    // One command is always let in, however large: it could never be served otherwise.
    const tooMany = this.#inFlight >= maxInFlight;
    const tooLarge = this.#inFlight > 0 && this.#bytes + bytes > maxInFlightBytes;
    if (tooMany || tooLarge) {
      throw new TidemarkError('overloaded', 'this process has as many commands in flight as it may hold', {
        retryAfter: RETRY_SECONDS,
      });
    }
    if ((this.#streams.get(stream)?.length ?? 0) >= maxWaitingPerStream) {
      throw new TidemarkError(
        'too_many_requests',
        `${maxWaitingPerStream} commands are waiting for this stream already`,
        { retryAfter: RETRY_SECONDS },
      );
    }
  }

  #enqueue<T>(
    stream: string,
    job: (waitedMs: number) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const queue = this.#streams.get(stream);
    if (!queue) {
      const tickets: Ticket[] = [];
      this.#streams.set(stream, tickets);
      return job(0).finally(() => void this.#drain(stream, tickets));
    }
    return new Promise<T>((resolve, reject) => {
      const leave = (): void => {
        queue.splice(queue.indexOf(ticket), 1);
        this.#waiting--;
        reject(signal?.reason);
      };
      const ticket: Ticket = {
        queuedAt: this.#clock.monotonic(),
        run: (waitedMs) => {
          signal?.removeEventListener('abort', leave);
          return this.#inTime(waitedMs, job).then(resolve, reject);
        },
      };
      signal?.addEventListener('abort', leave, { once: true });
      queue.push(ticket);
      this.#waiting++;
    });
  }

  async #inTime<T>(waitedMs: number, job: (waitedMs: number) => Promise<T>): Promise<T> {
    if (waitedMs > this.#limits.maxWaitMs) {
      throw new TidemarkError(
        'too_many_requests',
        `the commands before this one took more than ${this.#limits.maxWaitMs} ms; it was not decided`,
        { retryAfter: RETRY_SECONDS },
      );
    }
    return job(waitedMs);
  }

  async #drain(stream: string, queue: Ticket[]): Promise<void> {
    for (let next = queue.shift(); next; next = queue.shift()) {
      this.#waiting--;
      await next.run(this.#clock.monotonic() - next.queuedAt);
    }
    this.#streams.delete(stream);
  }
}
