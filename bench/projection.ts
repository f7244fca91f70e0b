/**
 * `npm run bench -- projection [--json] [--quick]`: one million events of 100,000 streams (a tenth of it when quick); read models built from
 * them, and followed from the first event on with the change log, by stream (a row an order) and of many streams (a row a
 * customer); beside it the machine's own limit in the same turns: a raw read in pages, and a raw COPY. Every run is a process.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { startTemporaryPostgres } from '../src/app/embedded/temporary.js';
import { silentLogger } from '../src/platform/logger.js';
import { Database } from '../src/platform/postgres/database.js';
import { ensureLog } from '../src/platform/postgres/logs.js';
import { migrate } from '../src/platform/postgres/migrate.js';
import { SUBJECTS } from './projection/subjects.js';
import { EVENTS_A_STREAM, seed, SHARDS } from './projection/workload.js';
import { postmasterOf } from './support/cpu.js';
import { median, report, type Ratio, type Run, type Sample } from './support/report.js';

const { values: flags } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    /** For work on some of them. */
    only: { type: 'string' },
    events: { type: 'string' },
    repeats: { type: 'string' },
  },
});
const EVENTS = Number(flags.events ?? (flags.quick ? 100_000 : 1_000_000));
const REPEATS = Number(flags.repeats ?? (flags.quick ? 2 : 4));
const NAMES = flags.only === undefined ? Object.keys(SUBJECTS) : flags.only.split(',');
const RUN = fileURLToPath(new URL('./projection/run.ts', import.meta.url));

const server = await startTemporaryPostgres();
const admin = new pg.Client({ connectionString: server.url });
await admin.connect();
const told = await admin.query<{ version: string; pid: number }>(
  `SELECT current_setting('server_version') AS version, pg_backend_pid() AS pid`,
);
const postmaster = postmasterOf(told.rows[0]?.pid ?? 0);

async function prepare(): Promise<void> {
  const db = new Database({
    connectionString: server.url,
    schema: 'tidemark',
    role: 'bench',
    logger: silentLogger,
  });
  await migrate(db);
  await ensureLog(db, 'order', SHARDS);
  await db.end();
  await seed(server.url, 'tidemark', EVENTS);
}

/** @returns what the process printed */
function runInProcess(name: string, version: number): Promise<Sample> {
  const args = [
    '--import',
    'tsx',
    RUN,
    name,
    server.url,
    String(version),
    String(EVENTS),
    String(postmaster ?? ''),
  ];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(JSON.parse(output));
      else reject(new Error(`${name} ended with ${code}`));
    });
  });
}

let version = 0;

/** A checkpoint before each run, so that none of its predecessor's work falls into it. What it made goes. */
async function turn(name: string): Promise<Sample> {
  version++;
  await admin.query('CHECKPOINT');
  const sample = await runInProcess(name, version);
  const view = SUBJECTS[name]?.view?.name;
  if (view !== undefined) {
    await admin.query(`DROP TABLE tidemark._log_${view}__v${version}`);
    await admin.query(`DROP TABLE tidemark.${view}__v${version} CASCADE`);
  }
  return sample;
}

/** Medians of the ratios of each round, as the machine's speed changes between rounds. */
function ratiosOf(runs: readonly Run[]): Ratio[] {
  return runs.flatMap(({ subject, samples }) =>
    ['raw read', 'raw copy'].flatMap((peer) => {
      const limit = runs.find((run) => run.subject === peer);
      if (limit === undefined || subject.startsWith('raw')) return [];
      const each = samples.map(
        ({ perSecond }, at) => perSecond / (limit.samples[at]?.perSecond ?? Number.NaN),
      );
      return [{ name: `${subject}/${peer} perSecond events=${EVENTS}`, value: median(each) }];
    }),
  );
}

try {
  await prepare();
  const runs: Run[] = NAMES.map((subject) => ({
    subject,
    params: { events: EVENTS, streams: EVENTS / EVENTS_A_STREAM },
    samples: [],
  }));
  const samples = new Map<string, Sample[]>(NAMES.map((name) => [name, []]));
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    for (const name of NAMES) samples.get(name)?.push(await turn(name));
  }
  const filled = runs.map((run) => ({ ...run, samples: samples.get(run.subject) ?? [] }));
  const postgres = told.rows[0]?.version ?? 'unknown';
  report({ bench: 'projection', postgres, runs: filled, ratios: ratiosOf(filled), json: flags.json });
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  await admin.end();
  await server.stop();
}
