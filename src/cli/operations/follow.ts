/** Follows a version until it may be served: a bar on a terminal, a line every few seconds elsewhere. */
import { setTimeout as wait } from 'node:timers/promises';
import type { Database } from '../../platform/postgres/database.js';
import { findVersion } from '../../projections/operations/list.js';
import type { VersionName, VersionReport } from '../../projections/operations/types.js';
import { progressBar, progressText } from '../progress.js';
import { amount, columns } from '../words.js';

const LOOK_MS = 250;
const TELL_MS = 5_000;

/** What is being done now, in a few words. */
function stage(
  { loaded, progress, lag }: VersionReport,
  told: (progress: VersionReport['progress'] & object) => string,
): string {
  if (loaded) return `follows its events, ${amount(lag)} behind`;
  return progress ? told(progress) : 'waits for its projector';
}

/** Written to standard error, as standard output is for results. */
class Bar {
  readonly #terminal = process.stderr.isTTY;
  #toldAt = Number.NEGATIVE_INFINITY;

  show(report: VersionReport): void {
    const title = `${report.name} v${report.version}`;
    if (this.#terminal) {
      const line = `${title} ${stage(report, progressBar)}`;
      process.stderr.write(`\r${line.slice(0, columns() - 1)}\u001b[K`);
      return;
    }
    if (performance.now() - this.#toldAt < TELL_MS) return;
    this.#toldAt = performance.now();
    process.stderr.write(`${title}: ${stage(report, progressText)}\n`);
  }

  end(): void {
    if (this.#terminal) process.stderr.write('\r\u001b[K');
  }
}

/** Nothing more will come by itself. */
function isOver({ state, ready, loaded, lag, parkedKeys, acceptParked }: VersionReport): boolean {
  if (ready || (state !== 'building' && state !== 'catching_up' && state !== 'live')) return true;
  return loaded && lag === 0 && parkedKeys > 0 && !acceptParked;
}

/** @returns how the version stands once it may be served, or once it will not be without somebody’s help */
export async function followUntilReady(db: Database, { name, version }: VersionName): Promise<VersionReport> {
  const bar = new Bar();
  try {
    for (;;) {
      const report = await findVersion(db, name, version);
      if (isOver(report)) return report;
      bar.show(report);
      await wait(LOOK_MS);
    }
  } finally {
    bar.end();
  }
}
