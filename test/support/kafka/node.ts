/** One broker of a cluster: a Java process that can be killed, frozen and started again on its data. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { KafkaStartError, PortTaken } from './errors.js';
import { javaArguments, javaCommand } from './java.js';
import type { NodePlace } from './properties.js';
import type { Watcher } from './watcher.js';

const START_MS = 60_000;
const STOP_MS = 15_000;
const READY = 'Kafka Server started';

export interface KafkaNode {
  readonly id: number;
  /** `host:port` */
  readonly broker: string;
  /** File of what it says: warnings and errors. */
  readonly log: string;
  /** Undefined while it is down. */
  readonly pid: number | undefined;
  /**
   * Resolves when it serves. In a cluster of three, that takes a second one that runs.
   * @throws KafkaStartError
   */
  start(): Promise<void>;
  /** Ends it as a crash does; resolves when the process is gone. */
  kill(): Promise<void>;
  /** Ends it in order. */
  stop(): Promise<void>;
  /** Freezes it: connections stay, nothing is answered. */
  pause(): void;
  resume(): void;
}

/** What a broker that ended said was the matter. */
function lastWords(told: string): string {
  const lines = told.split('\n').map((line) => line.trim());
  const cause = lines.findLast((line) => /^Caused by: |^[\w.]+(Exception|Error): /.test(line));
  return cause?.replace(/^(Caused by: )?[\w.]+: /, '') ?? lines.findLast((line) => line !== '') ?? 'nothing';
}

export class Broker implements KafkaNode {
  readonly id: number;
  readonly broker: string;
  readonly log: string;
  readonly #config: string;
  readonly #jars: string;
  readonly #watcher: Watcher;
  #child: ChildProcess | undefined;

  constructor(place: NodePlace, config: string, jars: string, watcher: Watcher) {
    this.id = place.id;
    this.broker = `127.0.0.1:${place.port}`;
    this.log = path.join(place.folder, 'broker.log');
    this.#config = config;
    this.#jars = jars;
    this.#watcher = watcher;
  }

  get pid(): number | undefined {
    return this.#child?.exitCode === null && this.#child.signalCode === null ? this.#child.pid : undefined;
  }

  async start(): Promise<void> {
    if (this.pid !== undefined) return;
    const out = await open(this.log, 'a');
    const { size: before } = await stat(this.log);
    const memory = ['-Xmx256m', '-Xms128m'];
    // In a group of its own: Ctrl-C is for us, and we end it.
    const child = spawn(javaCommand(), javaArguments(this.#jars, memory, ['kafka.Kafka', this.#config]), {
      stdio: ['ignore', out.fd, out.fd],
      detached: true,
    });
    this.#child = child;
    this.#watcher.guard(child);
    child.once('error', () => undefined);
    await out.close();
    await this.#ready(before);
  }

  async #ready(before: number): Promise<void> {
    const until = Date.now() + START_MS;
    for (;;) {
      const running = this.pid !== undefined;
      const told = (await readFile(this.log)).subarray(before).toString('utf8');
      if (running && told.includes(READY)) return;
      if (!running || Date.now() > until) {
        await this.kill();
        const why = running ? `it was not ready within ${START_MS / 1_000} s` : lastWords(told);
        const Kind = told.includes('Address already in use') ? PortTaken : KafkaStartError;
        throw new Kind(`broker ${this.id} did not start: ${why}`);
      }
      await delay(20);
    }
  }

  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  stop(): Promise<void> {
    this.resume();
    return this.#end('SIGTERM');
  }

  pause(): void {
    this.#child?.kill('SIGSTOP');
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (!child || this.pid === undefined) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await gone;
    clearTimeout(late);
  }
}
