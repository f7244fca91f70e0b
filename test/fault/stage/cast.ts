/** The processes of the application under test: started, killed, frozen and woken; none is left behind. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Bell } from '../../../src/platform/pause.js';
import { addMetrics, type Metrics } from './metrics.js';

const fromHere = (place: string): string => fileURLToPath(new URL(place, import.meta.url));
const TIDEMARK = fromHere('../../../bin/tidemark.js');
const LEASH = pathToFileURL(fromHere('leash.js')).href;
const START_MS = 180_000;
const METRICS_MS = 2_000;

export interface CastOptions {
  /** Path of the application's module. */
  readonly module: string;
  /** Of every process, beside what is set here. */
  readonly env: Readonly<Record<string, string>>;
  /** Asked at each start. */
  readonly databaseUrl: () => string;
  /** Their logs go here. */
  readonly folder: string;
}

interface Line {
  readonly msg?: string;
  readonly http?: string;
  readonly realtime?: string;
}

function parsed(line: string): Line {
  try {
    return JSON.parse(line) as Line;
  } catch {
    return {};
  }
}

/** One process. */
export class Actor {
  readonly name: string;
  readonly roles: string;
  readonly lines: string[] = [];
  /** It was told to end, or killed. */
  over = false;
  frozen = false;
  readonly #child: ChildProcess;
  readonly #bell = new Bell();
  #urls: Line = {};

  constructor(name: string, roles: string, child: ChildProcess, log: string) {
    this.name = name;
    this.roles = roles;
    this.#child = child;
    const file = createWriteStream(log);
    for (const stream of [child.stdout, child.stderr]) {
      if (!stream) continue;
      createInterface({ input: stream }).on('line', (line) => this.#heard(line, file));
    }
    child.once('close', () => {
      file.end();
      this.#bell.ring();
    });
  }

  #heard(line: string, file: { write(text: string): void }): void {
    file.write(`${line}\n`);
    this.lines.push(line);
    if (this.lines.length > 2_000) this.lines.splice(0, 1_000);
    const told = parsed(line);
    if (told.msg === 'ready' && told.http !== undefined) this.#urls = told;
    this.#bell.ring();
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Empty until it is ready. */
  get http(): string {
    return this.#urls.http ?? '';
  }

  get realtime(): string {
    return this.#urls.realtime ?? '';
  }

  /** Resolves when it is ready, or was ended before. @throws Error when it ends by itself, or is late */
  async ready(): Promise<void> {
    const deadline = Date.now() + START_MS;
    while (this.http === '' && !this.over) {
      const left = deadline - Date.now();
      if (!this.alive || left <= 0)
        throw new Error(`${this.name} does not start: ${this.lines.slice(-10).join('\n')}`);
      await this.#bell.wait(left);
    }
  }

  freeze(): void {
    this.frozen = true;
    this.#child.kill('SIGSTOP');
  }

  thaw(): void {
    this.frozen = false;
    this.#child.kill('SIGCONT');
  }

  async metrics(): Promise<string> {
    if (!this.alive || this.frozen || this.http === '') return '';
    const signal = AbortSignal.timeout(METRICS_MS);
    return fetch(`${this.http}/metrics`, { signal }).then(
      (answer) => answer.text(),
      () => '',
    );
  }

  /** @returns with which code or signal it ended, when it did so by itself */
  get fate(): string | undefined {
    if (this.alive || this.over) return undefined;
    return `${this.name} ended by itself (${this.#child.exitCode ?? this.#child.signalCode}): ${this.lines.slice(-5).join('\n')}`;
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    if (!this.alive) return;
    this.over = true;
    const gone = once(this.#child, 'exit');
    this.#child.kill(signal);
    if (this.frozen) this.thaw();
    await gone;
  }
}

export class Cast {
  readonly #options: CastOptions;
  readonly #actors: Actor[] = [];
  readonly #metrics: Metrics = new Map();
  #count = 0;

  constructor(options: CastOptions) {
    this.#options = options;
    // However this process ends, no other is left.
    process.once('exit', this.#killAll);
  }

  readonly #killAll = (): void => {
    for (const { pid, alive } of this.#actors) if (alive && pid !== undefined) process.kill(pid, 'SIGKILL');
  };

  /** Those that live, in the order of their start. @param role only those that have it */
  of(role?: string): readonly Actor[] {
    return this.#actors.filter(
      ({ alive, over, roles }) => alive && !over && (role === undefined || roles.split(',').includes(role)),
    );
  }

  /** The one that has the role; the newest, where there are several. */
  the(role: string): Actor {
    const found = this.of(role).at(-1);
    if (!found) throw new Error(`no process has the role ${role}`);
    return found;
  }

  /** Resolves when it is ready. @param roles separated by commas */
  async start(roles: string): Promise<Actor> {
    const { module, env, databaseUrl, folder } = this.#options;
    const name = `${roles.replaceAll(',', '+')}-${++this.#count}`;
    const child = spawn(
      process.execPath,
      ['--import', LEASH, TIDEMARK, 'start', module, '--roles', roles, '--quiet'],
      {
        stdio: ['pipe', 'pipe', 'pipe'],
        env: {
          ...process.env,
          KAFKA_BROKERS: '',
          ...env,
          DATABASE_URL: databaseUrl(),
          PORT: '0',
          REALTIME_PORT: '0',
          LOG_LEVEL: 'info',
        },
      },
    );
    child.stdin?.on('error', () => undefined);
    const actor = new Actor(name, roles, child, path.join(folder, `${name}.log`));
    this.#actors.push(actor);
    await actor.ready();
    return actor;
  }

  /** Ends a process; what it counted is kept. */
  async end(actor: Actor, signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    addMetrics(this.#metrics, await actor.metrics());
    await actor.end(signal);
  }

  /** Sums over all processes, by name of the metric. */
  async metrics(): Promise<Metrics> {
    const sums = new Map(this.#metrics);
    for (const text of await Promise.all(this.of().map((actor) => actor.metrics()))) addMetrics(sums, text);
    return sums;
  }

  /** Processes that nobody ended. */
  get fates(): readonly string[] {
    return this.#actors.flatMap(({ fate }) => fate ?? []);
  }

  async stop(): Promise<void> {
    await Promise.all(this.of().map((actor) => actor.end('SIGKILL')));
    process.off('exit', this.#killAll);
  }
}
