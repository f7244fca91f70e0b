/**
 * Runs builds: in a thread that loads the application's module by its path, or, without a path (or where the module is not the same any
 * more), in slices between what else the process does.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Logger, LogLevel } from '../../platform/logger.js';
import { definitionOf, fingerprintOf } from '../../projections/definition.js';
import { buildVersion } from '../../projections/rebuild/build.js';
import type { BuildRequest } from '../../projections/rebuild/builders.js';
import type { BuildOutcome } from '../../projections/rebuild/types.js';
import { openLoader } from './loader.js';
import type { BuildNews, BuildOrder, BuildWord } from './messages.js';
import { turnEvery } from './turns.js';

export interface BuildPlace {
  readonly url: string;
  readonly schema: string;
  readonly logger: Logger;
  readonly logLevel: LogLevel;
  /** Absolute path of the module whose default export is the application. */
  readonly appModule: string | undefined;
}

/** Of folding at a stretch, where there is no thread for it. */
const SLICE_MS = 4;
/** What a thread has to end in order; what it loads is not lost by its end. */
const STOP_MS = 2_000;

async function inSlices(place: BuildPlace, request: BuildRequest): Promise<BuildOutcome> {
  const db = openLoader(place);
  try {
    const { projection, lease, signal, again } = request;
    const logger = place.logger.child({ projection: projection.name, version: projection.version });
    const turn = turnEvery(SLICE_MS);
    return await buildVersion({ projection, db, lease, signal, logger, turn }, again);
  } finally {
    await db.end();
  }
}

/** The thread's file, as it is here: a source that needs tsx, or what was built. */
function entryOf(): URL {
  if (!import.meta.url.endsWith('.ts')) return new URL('./thread.js', import.meta.url);
  const tsx = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const file = JSON.stringify(new URL('./thread.ts', import.meta.url).href);
  const boot = `import { register } from ${tsx}; register(); await import(${file});`;
  return new URL(`data:text/javascript,${encodeURIComponent(boot)}`);
}

/** What the thread logs goes where everything goes. */
function relog(logger: Logger, line: string): void {
  const { level, time: _time, msg, ...rest } = JSON.parse(line) as Record<string, unknown>; // a line of our own logger
  const text = typeof msg === 'string' ? msg : '';
  if (level === 'error' || level === 'fatal') logger.error(rest, text);
  else if (level === 'warn') logger.warn(rest, text);
  else if (level === 'info') logger.info(rest, text);
  else logger.debug(rest, text);
}

type Ending = BuildOutcome | { readonly kind: 'unfit'; readonly why: string };

/** @throws whatever ended the thread without an outcome */
async function inThread(place: BuildPlace, appModule: string, request: BuildRequest): Promise<Ending> {
  const { projection, lease, signal, again } = request;
  const order: BuildOrder = {
    appModule,
    projection: projection.name,
    version: projection.version,
    fingerprint: fingerprintOf(definitionOf(projection)),
    databaseUrl: place.url,
    schema: place.schema,
    logLevel: place.logLevel,
    lease,
    again,
  };
  const logger = place.logger.child({ projection: projection.name, version: projection.version });
  const worker = new Worker(entryOf(), { workerData: order, name: `build ${projection.name}`, execArgv: [] });
  let ending: Ending | undefined;
  worker.on('message', (news: BuildNews) => {
    if (news.kind === 'log') relog(logger, news.line);
    else ending = news.kind === 'outcome' ? news.outcome : news;
  });
  let timer: NodeJS.Timeout | undefined;
  const stop = (): void => {
    worker.postMessage('stop' satisfies BuildWord, []);
    timer = setTimeout(() => void worker.terminate(), STOP_MS);
  };
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop();
  try {
    await once(worker, 'exit');
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
  if (ending) return ending;
  if (signal.aborted) return { kind: 'superseded' };
  throw new Error('the building thread ended without a word');
}

/** @returns what `Builders` runs builds with */
export function buildRunner(place: BuildPlace): (request: BuildRequest) => Promise<BuildOutcome> {
  return async (request) => {
    if (place.appModule === undefined) return inSlices(place, request);
    const ending = await inThread(place, place.appModule, request);
    if (ending.kind !== 'unfit') return ending;
    const { name, version } = request.projection;
    place.logger.warn(
      { projection: name, version, why: ending.why },
      'the build cannot have a thread of its own, and runs between what else this process does',
    );
    return inSlices(place, request);
  };
}
