/** Builds one version in a thread of its own, so that commands and live readers of the process do not feel it. */
import { parentPort, workerData } from 'node:worker_threads';
import { isApp } from '../../domain/app.js';
import type { AnyProjection } from '../../domain/projection.js';
import { messageOf } from '../../platform/errors.js';
import { createLogger } from '../../platform/logger.js';
import { definitionOf, fingerprintOf } from '../../projections/definition.js';
import { buildVersion } from '../../projections/rebuild/build.js';
import { importModule } from '../app-module.js';
import { openLoader } from './loader.js';
import type { BuildNews, BuildOrder, BuildWord } from './messages.js';
import { turnEvery } from './turns.js';

/** Others have threads of their own; only the word to stop waits. */
const TURN_MS = 50;

const order = workerData as BuildOrder; // the runner gives it, and nobody else starts this file
const tell = (news: BuildNews): void => parentPort?.postMessage(news, []);

async function find(): Promise<AnyProjection | string> {
  const { appModule, projection: name, version, fingerprint } = order;
  const { default: app } = await importModule(appModule);
  if (!isApp(app)) return `the default export of ${appModule} is not what defineApp returns`;
  const found = app.views.find((one) => one.name === name && one.version === version);
  if (!found) return `${appModule} has no ${name} v${version} any more`;
  if (fingerprintOf(definitionOf(found)) !== fingerprint)
    return `${name} v${version} is another in ${appModule} now`;
  return found;
}

async function run(): Promise<void> {
  const { databaseUrl: url, schema, logLevel: level, lease, again } = order;
  const destination = { write: (line: string) => tell({ kind: 'log', line }) };
  const logger = createLogger({ level, destination });
  const abort = new AbortController();
  parentPort?.on('message', (word: BuildWord) => {
    if (word === 'stop') abort.abort();
  });
  const projection = await find().catch((error: unknown) => messageOf(error));
  if (typeof projection === 'string') return tell({ kind: 'unfit', why: projection });
  const db = openLoader({ url, schema, logger });
  try {
    const options = { projection, db, lease, signal: abort.signal, logger, turn: turnEvery(TURN_MS) };
    tell({ kind: 'outcome', outcome: await buildVersion(options, again) });
  } finally {
    await db.end();
  }
}

try {
  await run();
} finally {
  parentPort?.close();
}
