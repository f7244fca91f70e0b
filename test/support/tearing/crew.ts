/** Projector processes that are started, killed, paused and woken; none is left behind. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('child.ts', import.meta.url));

/** One process. */
export class Worker {
  readonly lines: string[] = [];
  paused = false;
  readonly #child: ChildProcess;
  readonly #errors: string[] = [];
  readonly #waiting = new Set<() => void>();

  constructor(child: ChildProcess) {
    this.#child = child;
    for (const [stream, lines] of [
      [child.stdout, this.lines],
      [child.stderr, this.#errors],
    ] as const) {
      if (!stream) continue;
      createInterface({ input: stream }).on('line', (line) => {
        lines.push(line);
        this.#wake();
      });
    }
    child.once('exit', () => this.#wake());
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Resolves with the first line (from the `from`th on) that begins so. @throws Error when the process ends before */
  async says(start: string, from = 0): Promise<string> {
    for (;;) {
      const found = this.lines.slice(from).find((line) => line.startsWith(start));
      if (found !== undefined) return found;
      if (!this.alive) throw new Error(`a projector process ended: ${this.#errors.slice(-20).join('\n')}`);
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
      });
    }
  }

  tell(line: 'hold' | 'go'): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  pause(): void {
    this.paused = true;
    this.#child.kill('SIGSTOP');
  }

  wake(): void {
    this.paused = false;
    this.#child.kill('SIGCONT');
  }

  /** Ends it at once, also while it is paused. */
  async kill(): Promise<void> {
    if (!this.alive) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }
}

export class Crew {
  readonly #url: string;
  #workers: Worker[] = [];

  constructor(url: string) {
    this.#url = url;
  }

  /** Those that live, paused ones too. */
  get workers(): readonly Worker[] {
    this.#workers = this.#workers.filter(({ alive }) => alive);
    return this.#workers;
  }

  /** Resolves when it projects. */
  async start(maxBatch = 50): Promise<Worker> {
    const args = ['--import', 'tsx', PROGRAM, this.#url, String(maxBatch)];
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    child.stdin?.on('error', () => undefined);
    const worker = new Worker(child);
    this.#workers.push(worker);
    await worker.says('ready');
    return worker;
  }

  async stop(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.kill()));
  }
}
