/** The clients of a benchmark, in processes of their own, and what they tell. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { cpuMsOf } from './cpu.js';

const PROGRAM = fileURLToPath(new URL('clients-child.ts', import.meta.url));

/** How a client begins: what it sends, and after which text it counts as ready. */
export interface Greeting {
  readonly port: number;
  readonly path: string;
  readonly protocol?: string;
  /** Sent once the socket is open, and again the text that follows after each that begins with `after`. */
  readonly sends: readonly { readonly after: string | null; readonly text: string }[];
  /** A client is ready when a text that begins so has come. */
  readonly readyAfter: string;
  /** Keep the position that comes with `live`, and go on from it after a reconnection. */
  readonly resumes: boolean;
}

export type ToClients =
  /** `%` in the texts becomes the number of the client modulo `kinds`. */
  | {
      readonly t: 'open';
      readonly greeting: Greeting;
      readonly from: number;
      readonly count: number;
      readonly kinds: number;
    }
  /** Every connection is cut that is still there, and all come back at once. */
  | { readonly t: 'return' }
  /** Tells each time when so many more frames with changes have come. */
  | { readonly t: 'count'; readonly every: number };

/** `at`: ns of the monotonic clock of this machine, which all its processes share. */
export type FromClients =
  | { readonly t: 'ready'; readonly at: bigint }
  | { readonly t: 'frames'; readonly frames: number; readonly at: bigint };

/** Processes that clients are spread over; a core is left to the server. */
export const CLIENT_PROCESSES = Math.max(1, Math.min(4, cpus().length - 1));

class ClientProcess {
  readonly #child: ChildProcess;

  constructor() {
    this.#child = fork(PROGRAM, [], {
      execArgv: ['--import', 'tsx'],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'advanced',
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  send(message: ToClients): void {
    this.#child.send(message);
  }

  on(heard: (message: FromClients) => void): () => void {
    this.#child.on('message', heard);
    return () => this.#child.off('message', heard);
  }

  /** @throws Error when it ends first */
  async next<T extends FromClients['t']>(t: T): Promise<Extract<FromClients, { t: T }>> {
    const ended = new AbortController();
    const died = (): void => ended.abort();
    this.#child.once('exit', died);
    try {
      for (;;) {
        const [message] = (await once(this.#child, 'message', { signal: ended.signal })) as [FromClients]; // what it sends
        // t names the message
        if (message.t === t) return message as Extract<FromClients, { t: T }>;
      }
    } finally {
      this.#child.off('exit', died);
    }
  }

  async stop(): Promise<void> {
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }
}

/** A number of clients of one server. */
export class Clients {
  readonly #processes: readonly ClientProcess[];

  private constructor(processes: readonly ClientProcess[]) {
    this.#processes = processes;
  }

  /** @param kinds how many kinds of them there are, for what they subscribe to. Resolves when all are ready */
  static async open(greeting: Greeting, count: number, kinds: number): Promise<Clients> {
    const processes = Array.from({ length: CLIENT_PROCESSES }, () => new ClientProcess());
    const clients = new Clients(processes);
    await clients.more(greeting, count, kinds);
    return clients;
  }

  /** Opens more of them. */
  async more(greeting: Greeting, count: number, kinds: number): Promise<void> {
    const each = Math.ceil(count / this.#processes.length);
    await Promise.all(
      this.#processes.map(async (one, index) => {
        const from = index * each;
        const ready = one.next('ready');
        one.send({ t: 'open', greeting, from, count: Math.min(each, count - from), kinds });
        await ready;
      }),
    );
  }

  /** CPU ms that they have used so far. */
  cpuMs(): number {
    return this.#processes.reduce((sum, { pid }) => sum + cpuMsOf(pid), 0);
  }

  /** Tells the sum of frames with changes that have come, each time when some more have, with when the last of them came. */
  count(every: number, heard: (frames: number, at: bigint) => void): () => void {
    const counts = this.#processes.map(() => ({ frames: 0, at: 0n }));
    const ends = this.#processes.map((one, index) =>
      one.on((message) => {
        if (message.t !== 'frames') return;
        counts[index] = message;
        const at = counts.reduce((latest, count) => (count.at > latest ? count.at : latest), 0n);
        heard(
          counts.reduce((sum, { frames }) => sum + frames, 0),
          at,
        );
      }),
    );
    for (const one of this.#processes)
      one.send({ t: 'count', every: Math.max(1, Math.floor(every / this.#processes.length)) });
    return () => {
      for (const end of ends) end();
    };
  }

  /** All come back at once. @returns ms until the last was ready */
  async comeBack(): Promise<number> {
    const begun = process.hrtime.bigint();
    const times = await Promise.all(
      this.#processes.map((one) => {
        const ready = one.next('ready');
        one.send({ t: 'return' });
        return ready;
      }),
    );
    const last = times.reduce((latest, { at }) => (at > latest ? at : latest), begun);
    return Number(last - begun) / 1e6;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#processes.map((one) => one.stop()));
  }
}
