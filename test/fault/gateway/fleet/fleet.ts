/** Subscribers in a process of their own, so that they can be frozen, and take nothing from who judges them. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { eventually } from '../../stage/waiting.js';
import type { FromFleet, Heads, Order, Report, Status, ToFleet, WatcherReport } from './messages.js';

const PROGRAM = fileURLToPath(new URL('child.ts', import.meta.url));

export class Fleet {
  readonly size: number;
  readonly #child: ChildProcess;
  frozen = false;

  constructor(order: Order) {
    this.size = order.watchers.length;
    this.#child = fork(PROGRAM, [], {
      execArgv: ['--import', 'tsx'],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      serialization: 'advanced',
    });
    this.#send({ t: 'begin', order });
  }

  #send(message: ToFleet): void {
    if (this.#child.connected) this.#child.send(message);
  }

  async #ask<T extends FromFleet['t']>(message: ToFleet & { t: T }): Promise<Extract<FromFleet, { t: T }>> {
    if (!this.#child.connected) throw new Error('the subscribers’ process has ended');
    const answered = once(this.#child, 'message');
    this.#send(message);
    const [answer] = (await answered) as [Extract<FromFleet, { t: T }>]; // One is asked at a time, and it answers in kind.
    return answer;
  }

  moved(url: string): void {
    this.#send({ t: 'moved', url });
  }

  /** @param inPlace on the open socket; else who was put out comes back with it */
  token(who: string, token: string, inPlace: boolean): void {
    this.#send({ t: 'token', who, token, inPlace });
  }

  cut(): void {
    this.#send({ t: 'cut' });
  }

  freeze(): void {
    this.frozen = true;
    this.#child.kill('SIGSTOP');
  }

  thaw(): void {
    this.frozen = false;
    this.#child.kill('SIGCONT');
  }

  status(heads: Heads = {}): Promise<Status> {
    return this.#ask({ t: 'status', heads });
  }

  async report(): Promise<readonly WatcherReport[]> {
    const { watchers }: Report = await this.#ask({ t: 'report' });
    return watchers;
  }

  /** @throws Error when that takes longer than the time */
  allLive(timeoutMs = 120_000): Promise<void> {
    const all = async (): Promise<boolean> => (await this.status()).live === this.size;
    return eventually(`all ${this.size} subscribers are live`, all, timeoutMs);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }
}
