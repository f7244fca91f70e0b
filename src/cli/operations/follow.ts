/** Follows a build until its rows are loaded: a bar on a terminal, a line every few seconds elsewhere. */
import { setTimeout as wait } from 'node:timers/promises';
import type { Database } from '../../platform/postgres/database.js';
import { findVersion } from '../../projections/operations/list.js';
import type { VersionName, VersionReport } from '../../projections/operations/types.js';
import { progressBar, progressText } from '../progress.js';
import { columns } from '../words.js';

const LOOK_MS = 250;
const TELL_MS = 5_000;

/** Written to standard error, as standard output is for results. */
class Bar {
  readonly #terminal = process.stderr.isTTY;
  #toldAt = Number.NEGATIVE_INFINITY;

  show(report: VersionReport): void {
    const { name, version, progress } = report;
    const title = `${name} v${version}`;
    if (this.#terminal) {
      const line = `${title} ${progress ? progressBar(progress) : 'waits for its projector'}`;
      process.stderr.write(`\r${line.slice(0, columns() - 1)}\u001b[K`);
      return;
    }
    if (performance.now() - this.#toldAt < TELL_MS) return;
    this.#toldAt = performance.now();
    process.stderr.write(`${title}: ${progress ? progressText(progress) : 'waits for its projector'}\n`);
  }

  end(): void {
    if (this.#terminal) process.stderr.write('\r\u001b[K');
  }
}

/** @returns how the version stands once it is no more being built: loaded, or halted, paused, retired meanwhile */
export async function followBuild(db: Database, { name, version }: VersionName): Promise<VersionReport> {
  const bar = new Bar();
  try {
    for (;;) {
      const report = await findVersion(db, name, version);
      if (report.state !== 'building') return report;
      bar.show(report);
      await wait(LOOK_MS);
    }
  } finally {
    bar.end();
  }
}
