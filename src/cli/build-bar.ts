/** One line at the end of a terminal that shows the builds of the running application; rewritten while they last. */
import type { WriteStream } from 'node:tty';
import type { ProjectionStatus } from '../projections/types.js';
import { progressBar } from './progress.js';

const SHOW_MS = 250;
const CLEAR = '\r\u001b[K';

/** Whoever knows how the projections stand. */
interface Source {
  statuses(): readonly ProjectionStatus[];
}

export class BuildBar {
  readonly #terminal: Pick<WriteStream, 'write' | 'columns' | 'isTTY'>;
  #timer: NodeJS.Timeout | undefined;
  #line = '';

  /** @param terminal where it is shown, if that is a terminal */
  constructor(terminal: Pick<WriteStream, 'write' | 'columns' | 'isTTY'>) {
    this.#terminal = terminal;
  }

  get isShown(): boolean {
    return this.#terminal.isTTY;
  }

  /** Looks every now and then, and shows what is being built. */
  start(source: Source): void {
    if (!this.isShown) return;
    this.#timer = setInterval(() => this.show(source.statuses()), SHOW_MS);
    this.#timer.unref();
  }

  /** Nothing of it is left. May be called twice. */
  stop(): void {
    clearInterval(this.#timer);
    this.show([]);
  }

  show(statuses: readonly ProjectionStatus[]): void {
    const builds = statuses.flatMap(({ name, version, progress }) =>
      progress ? [`${name} v${version} ${progressBar(progress)}`] : [],
    );
    const more = builds.length > 1 ? ` (and ${builds.length - 1} more)` : '';
    const line =
      builds.length === 0 ? '' : `${builds[0]}${more}`.slice(0, (this.#terminal.columns || 80) - 1);
    if (line === this.#line) return;
    this.#line = line;
    this.#terminal.write(CLEAR + line);
  }

  /** Writes something above the line. */
  above(write: () => void): void {
    if (this.#line !== '') this.#terminal.write(CLEAR);
    write();
    if (this.#line !== '') this.#terminal.write(this.#line);
  }
}
