/** A server that is measured, as the benchmark sees it: a process that is started, driven, looked at and ended. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Greeting } from '../support/clients.js';

const PROGRAM = fileURLToPath(new URL('server-child.ts', import.meta.url));

export type ToServer =
  /** Publishes for so long, never more than `inFlight` changes before all clients have them. */
  | { readonly t: 'drive'; readonly perTurn: number; readonly inFlight: number; readonly ms: number }
  /** So many changes have all clients. */
  | { readonly t: 'acknowledged'; readonly changes: number }
  | { readonly t: 'cost' };

export type FromServer =
  | { readonly t: 'open'; readonly greeting: Greeting }
  /** @see FromClients for `beganAt` */
  | { readonly t: 'driven'; readonly published: number; readonly beganAt: bigint }
  | { readonly t: 'cost'; readonly cpuMs: number; readonly rssBytes: number };

export class Server {
  readonly greeting: Greeting;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, greeting: Greeting) {
    this.#child = child;
    this.greeting = greeting;
  }

  /** @param env of the `app` @throws Error when it does not start */
  static async open(subject: string, env: Readonly<Record<string, string>> = {}): Promise<Server> {
    const child = fork(PROGRAM, [JSON.stringify({ subject, env })], {
      execArgv: ['--import', 'tsx'],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'advanced',
    });
    const { greeting } = await next(child, 'open');
    return new Server(child, greeting);
  }

  async drive(order: Omit<ToServer & { t: 'drive' }, 't'>): Promise<FromServer & { t: 'driven' }> {
    this.#send({ t: 'drive', ...order });
    return next(this.#child, 'driven');
  }

  acknowledged(changes: number): void {
    this.#send({ t: 'acknowledged', changes });
  }

  async cost(): Promise<FromServer & { t: 'cost' }> {
    this.#send({ t: 'cost' });
    return next(this.#child, 'cost');
  }

  async stop(): Promise<void> {
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }

  #send(message: ToServer): void {
    this.#child.send(message);
  }
}

/** @throws Error when it ends first */
async function next<T extends FromServer['t']>(child: ChildProcess, t: T): Promise<FromServer & { t: T }> {
  const ended = new AbortController();
  const died = (): void => ended.abort();
  child.once('exit', died);
  try {
    for (;;) {
      const [message] = (await once(child, 'message', { signal: ended.signal })) as [FromServer]; // what it sends
      // t names the message
      if (message.t === t) return message as FromServer & { t: T };
    }
  } finally {
    child.off('exit', died);
  }
}
