/**
 * The topics as an outside reader finds them. The promise: at least once, in order but for steps back; whoever drops
 * repeats by (epoch, seq) has every entry of the log's epoch, each as Postgres has it.
 */
import type { AnyApp } from '../../../src/domain/app.js';
import type { Database } from '../../../src/platform/postgres/database.js';
import { readHeads } from '../../../src/platform/postgres/logs.js';
import { changeLogOf } from '../../../src/projections/names.js';
import type { KafkaRecord, kafkaTools } from '../../support/kafka/tools.js';

export type Tools = ReturnType<typeof kafkaTools>;

/** Where the log's epoch begins in the topic. */
export type Begin =
  /** With the first entry. */
  | 'first'
  /** After the last entry that the epoch before shares with Postgres. */
  | 'fork'
  /** Anywhere: records were removed. */
  | 'any';

interface Topic {
  readonly topic: string;
  readonly log: string;
  /** seq → `markOf` of a shard, as Postgres has it. */
  ids(db: Database, shard: number): Promise<Map<number, string>>;
}

export interface TopicFindings {
  readonly faults: readonly string[];
  readonly records: number;
  /** Records that are there again. */
  readonly again: number;
}

/** An id of a change says its seq only: the time tells it from another one at the same seq, in another life of the database. */
export const markOf = (id: string, time: string): string => `${id} of ${time}`;

export function topicsOf(app: AnyApp): readonly Topic[] {
  const events = app.aggregates.map(({ name }): Topic => ({
    topic: `${app.name}.${name}`,
    log: name,
    async ids(db, shard) {
      const rows = await db.query<[number, string, string]>(
        `SELECT seq, event_id::text, recorded_at FROM ${db.table('events')} WHERE category = $1 AND shard = $2`,
        [name, shard],
      );
      return new Map(rows.map(([seq, id, time]) => [seq, markOf(id, time)]));
    },
  }));
  const changes = app.views.map((projection): Topic => {
    const log = changeLogOf(projection);
    return {
      topic: `${app.name}.${log}.changes`,
      log,
      async ids(db, shard) {
        const rows = await db.query<[number, string]>(
          `SELECT seq, recorded_at FROM ${db.table('changes')} WHERE log = $1 AND shard = $2`,
          [log, shard],
        );
        return new Map(rows.map(([seq, time]) => [seq, markOf(`${log}/${shard}/${seq}`, time)]));
      },
    };
  });
  return [...events, ...changes];
}

const seqOf = ({ headers }: KafkaRecord): number => Number(headers['ce_seq']);
const idOf = ({ headers }: KafkaRecord): string => markOf(headers['ce_id'] ?? '', headers['ce_time'] ?? '');

/** What an outside reader would stumble over in one partition. */
export function partitionFaults(
  where: string,
  records: readonly KafkaRecord[],
  truth: { readonly epoch: string; readonly head: number; readonly ids: ReadonlyMap<number, string> },
  begin: Begin,
): { faults: string[]; again: number } {
  const faults: string[] = [];
  const isNow = ({ headers }: KafkaRecord): boolean => headers['ce_epoch'] === truth.epoch;
  const now = records.filter(isNow);
  const before = records.filter((record) => !isNow(record));
  const shared = before.filter((record) => truth.ids.get(seqOf(record)) === idOf(record));
  const fork = shared.reduce((last, record) => Math.max(last, seqOf(record)), 0);
  if (begin !== 'fork' && before.length > 0)
    faults.push(`${where}: ${before.length} records of another epoch`);
  const first = now[0];
  let last = begin === 'fork' ? fork : 0;
  if (begin === 'any' && first) last = seqOf(first) - 1;
  let again = 0;
  for (const record of now) {
    const seq = seqOf(record);
    if (seq > last + 1) faults.push(`${where}: seq ${seq} at offset ${record.offset} after ${last}`);
    if (seq <= last) again++;
    if (truth.ids.get(seq) !== idOf(record))
      faults.push(`${where}: ${idOf(record)} at seq ${seq}, Postgres has ${truth.ids.get(seq)}`);
    last = Math.max(last, seq);
  }
  const nothingIsLeft = begin === 'any' && first === undefined;
  if (last !== truth.head && !nothingIsLeft)
    faults.push(`${where}: its last seq is ${last}, the head is ${truth.head}`);
  return { faults, again };
}

async function topicFindings(
  { topic, log, ids }: Topic,
  db: Database,
  tools: Tools,
  begin: Begin,
): Promise<TopicFindings> {
  const records = await tools.readAll(topic);
  const heads = await readHeads(db, { events: [log], changes: [log] });
  const shards = new Map<number, { readonly epoch: string; readonly head: number }>();
  // An event log and a change log never share a name; where there is no table for it, the head is 0.
  for (const { shard, epoch, head } of heads)
    shards.set(shard, { epoch, head: Math.max(head, shards.get(shard)?.head ?? 0) });
  const faults: string[] = [];
  let again = 0;
  for (const [shard, { epoch, head }] of shards) {
    const mine = records.filter(({ partition }) => partition === shard);
    const truth = { epoch, head, ids: await ids(db, shard) };
    const found = partitionFaults(`${topic}/${shard}`, mine, truth, begin);
    faults.push(...found.faults);
    again += found.again;
  }
  return { faults, records: records.length, again };
}

/** Looks at all topics, again until they are whole or the time is over: the relay may be at work. */
export async function whatTopicsHold(
  app: AnyApp,
  db: Database,
  tools: Tools,
  { begin, patienceMs }: { readonly begin: Begin; readonly patienceMs: number },
): Promise<TopicFindings> {
  const deadline = Date.now() + patienceMs;
  const all: TopicFindings[] = [];
  for (const topic of topicsOf(app)) {
    for (;;) {
      const found = await topicFindings(topic, db, tools, begin).catch((error: unknown) => ({
        faults: [`${topic.topic}: ${error instanceof Error ? error.message : String(error)}`],
        records: 0,
        again: 0,
      }));
      if (found.faults.length > 0 && Date.now() < deadline) {
        // Nothing tells when a relay has sent the last of it.
        await new Promise((resolve) => setTimeout(resolve, 250));
        continue;
      }
      all.push(found);
      break;
    }
  }
  return {
    faults: all.flatMap(({ faults }) => faults),
    records: all.reduce((sum, { records }) => sum + records, 0),
    again: all.reduce((sum, found) => sum + found.again, 0),
  };
}
