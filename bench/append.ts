/**
 * `npm run bench -- append [--json] [--quick]`: one event of 250 bytes an append, each to a stream of its own, idempotency keys on;
 * 1, 64 and 256 writers; Tidemark, Emmett and a plain batched insert taking turns, repeated; then Tidemark while another
 * session holds a snapshot.
 */
import { parseArgs } from 'node:util';
import pg from 'pg';
import { startTemporaryPostgres } from '../src/app/embedded/temporary.js';
import { SUBJECTS } from './append/subjects.js';
import type { Subject } from './append/workload.js';
import { postmasterOf } from './support/cpu.js';
import { drive } from './support/drive.js';
import { median, report, type Ratio, type Run, type Sample } from './support/report.js';

const { values: flags } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    /** For work on one of them. */
    only: { type: 'string' },
    writers: { type: 'string' },
  },
});
const WARM_UP_MS = flags.quick ? 200 : 500;
const MEASURE_MS = flags.quick ? 800 : 2_000;
const REPEATS = flags.quick ? 2 : 4;
const HELD_MS = flags.quick ? 5_000 : 50_000;
const WRITERS = flags.writers === undefined ? [1, 64, 256] : flags.writers.split(',').map(Number);
const NAMES = flags.only === undefined ? Object.keys(SUBJECTS) : flags.only.split(',');
const lanesFor = (writers: number): number => (writers > 64 ? 2 : 1);

const server = await startTemporaryPostgres();
const admin = new pg.Client({ connectionString: server.url });
await admin.connect();
const told = await admin.query<{ version: string; pid: number }>(
  `SELECT current_setting('server_version') AS version, pg_backend_pid() AS pid`,
);
const postgres = told.rows[0]?.version ?? 'unknown';
const postmaster = postmasterOf(told.rows[0]?.pid ?? 0);

async function databaseFor(name: string): Promise<string> {
  await admin.query(`CREATE DATABASE bench_${name}`);
  const url = new URL(server.url);
  url.pathname = `/bench_${name}`;
  return url.href;
}

let streams = 0;

/** One window. A checkpoint before it, so that none of its predecessor's work falls into it. */
async function window(
  subject: Subject,
  writers: number,
  measureMs = MEASURE_MS,
  warmUpMs = WARM_UP_MS,
): Promise<Sample> {
  await admin.query('CHECKPOINT');
  return drive({
    writers,
    warmUpMs,
    measureMs,
    postmaster,
    operation: () => subject.append(`o-${(streams++).toString(36)}`),
  });
}

async function turns(urls: ReadonlyMap<string, string>, writers: number): Promise<Run[]> {
  const subjects: Subject[] = [];
  for (const [name, url] of urls) {
    const open = SUBJECTS[name];
    if (open === undefined)
      throw new Error(`no subject "${name}"; there are ${Object.keys(SUBJECTS).join(', ')}`);
    subjects.push(await open(url, lanesFor(writers)));
  }
  const samples = subjects.map((): Sample[] => []);
  // A round that does not count, for the compiler's sake.
  for (const subject of subjects) await window(subject, writers, WARM_UP_MS);
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    for (const [at, subject] of subjects.entries()) samples[at]?.push(await window(subject, writers));
  }
  for (const subject of subjects) await subject.close();
  return subjects.map(({ name }, at) => ({ subject: name, params: { writers }, samples: samples[at] ?? [] }));
}

/** Before, under and after a snapshot that another session holds; under it the figures are those of the last part. */
async function underSnapshot(url: string): Promise<{ runs: Run[]; ratio: Ratio }> {
  const writers = 64;
  const subject = await SUBJECTS['tidemark']?.(url, lanesFor(writers));
  if (subject === undefined) throw new Error('tidemark is a subject');
  const holder = new pg.Client({ connectionString: url });
  await holder.connect();
  const free = [await window(subject, writers)];
  await holder.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  await holder.query('SELECT count(*) FROM tidemark.shards');
  const held = [await window(subject, writers, MEASURE_MS, HELD_MS)];
  await holder.query('ROLLBACK');
  free.push(await window(subject, writers));
  await holder.end();
  await subject.close();
  const rate = (samples: readonly Sample[]): number => median(samples.map(({ perSecond }) => perSecond));
  const heldFor = `${Math.round((HELD_MS + MEASURE_MS) / 1000)}s`;
  return {
    runs: [
      { subject: 'tidemark', params: { writers, snapshot: 'none' }, samples: free },
      { subject: 'tidemark', params: { writers, snapshot: heldFor }, samples: held },
    ],
    ratio: {
      name: `tidemark snapshot=${heldFor}/none perSecond writers=${writers}`,
      value: rate(held) / rate(free),
    },
  };
}

/** Medians of the ratios of each turn, as the machine's speed changes between turns. */
function ratiosOf(runs: readonly Run[]): Ratio[] {
  const ours = runs.find(({ subject }) => subject === 'tidemark');
  if (ours === undefined) return [];
  const cpu = ({ processCpu, postgresCpu }: Sample): number => processCpu + (postgresCpu ?? 0);
  const paired = (peer: Run, ratio: (own: Sample, other: Sample) => number): number =>
    median(
      ours.samples.flatMap((own, at) => {
        const other = peer.samples[at];
        return other === undefined ? [] : [ratio(own, other)];
      }),
    );
  return runs
    .filter((run) => run !== ours)
    .flatMap((peer) => {
      const params = `writers=${peer.params['writers']}`;
      return [
        {
          name: `tidemark/${peer.subject} perSecond ${params}`,
          value: paired(peer, (own, other) => own.perSecond / other.perSecond),
        },
        {
          name: `${peer.subject}/tidemark cpuMsPer1000 ${params}`,
          value: paired(peer, (own, other) => cpu(other) / cpu(own)),
        },
      ];
    });
}

try {
  const urls = new Map<string, string>();
  for (const name of NAMES) urls.set(name, await databaseFor(name));
  const runs: Run[] = [];
  const ratios: Ratio[] = [];
  for (const writers of WRITERS) {
    const turn = await turns(urls, writers);
    runs.push(...turn);
    ratios.push(...ratiosOf(turn));
  }
  const own = urls.get('tidemark');
  if (own !== undefined && WRITERS.includes(64)) {
    const held = await underSnapshot(own);
    runs.push(...held.runs);
    ratios.push(held.ratio);
  }
  report({ bench: 'append', postgres, runs, ratios, json: flags.json });
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  await admin.end();
  await server.stop();
}
