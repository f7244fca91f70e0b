/** Compares whole logs with Kafka, for people: where they part, and from where they would be sent anew. Only looks. */
import type { PartitionEnd, Publisher, Tail, TopicInspector } from '../../broker/ports.js';
import type { Database } from '../../platform/postgres/database.js';
import { claimedOf, type KnownColumns } from '../openings.js';
import { standing, tailMark, type Known } from '../standing.js';
import { selectKnown } from '../statements.js';
import type { RelayedLog } from '../types.js';

export interface ShardFinding {
  readonly shard: number;
  /** Of Postgres. */
  readonly head: number;
  /** How Kafka and Postgres part; undefined where they do not. */
  readonly diverged: string | undefined;
  /** The greatest seq up to which they surely agree: it is sent again from the next one on. */
  readonly fork: number;
  /** Epoch of Kafka’s last record; undefined where there is none. */
  readonly epochInKafka: string | undefined;
}

export interface LogFinding {
  readonly log: RelayedLog;
  readonly topic: string;
  /** Undefined where there is no topic: then there is nothing to compare. */
  readonly partitions: number | undefined;
  readonly shards: readonly ShardFinding[];
}

export interface InspectOptions {
  readonly db: Database;
  readonly kafka: TopicInspector & Pick<Publisher, 'tail'>;
  readonly logs: readonly RelayedLog[];
  /** Of every log. */
  readonly shards: number;
}

type Place = { readonly log: RelayedLog; readonly shard: number };

/** What Postgres has of shards, beside what Kafka ends with. @throws as `Database.query` */
async function knownOf(
  db: Database,
  log: string,
  ends: readonly { readonly shard: number; readonly end: Pick<Tail, 'seq' | 'epoch'> | undefined }[],
): Promise<Map<number, Known>> {
  const rows = await db.query<KnownColumns>(selectKnown(db), [
    ends.map(() => log),
    ends.map(({ shard }) => shard),
    ends.map(({ end }) => end?.seq ?? 0),
    ends.map(({ end }) => end?.epoch ?? ''),
  ]);
  return new Map(rows.map((row) => [row[1], claimedOf(row)]));
}

/**
 * The last record of a partition that Postgres has, looked for from the end: steps that double, then halves. Repeats and epochs
 * make the way uneven; then an earlier one may be found, and more is sent again than would be needed.
 */
async function lastShared({ db, kafka }: InspectOptions, { log, shard }: Place): Promise<number | undefined> {
  const { first, next } = await kafka.bounds(log, shard);
  const shared = async (offset: number): Promise<{ seq: number; offset: number } | undefined> => {
    const record = await kafka.recordFrom(log, shard, offset);
    if (record === undefined) return undefined;
    const known = (await knownOf(db, log.log, [{ shard, end: record }])).get(shard);
    return known?.mark === tailMark(log, record) ? record : undefined;
  };
  let parted = next;
  let found: { seq: number; offset: number } | undefined;
  for (let step = 1; found === undefined && parted > first; step *= 2) {
    const offset = Math.max(first, next - step);
    found = await shared(offset);
    if (found === undefined || found.offset >= parted) {
      found = undefined;
      parted = offset;
    }
  }
  while (found !== undefined && parted - found.offset > 1) {
    const middle = found.offset + Math.floor((parted - found.offset) / 2);
    const there = await shared(middle);
    if (there !== undefined && there.offset < parted) found = there;
    else parted = middle;
  }
  return found?.seq;
}

async function shardFinding(
  options: InspectOptions,
  place: Place,
  end: PartitionEnd,
  known: Known,
): Promise<ShardFinding> {
  const { log, shard } = place;
  const at = standing(log, end, known);
  const epochInKafka = typeof end === 'object' ? end.epoch : undefined;
  const { head, low } = known;
  if (at.kind === 'at') return { shard, head, diverged: undefined, fork: at.seq, epochInKafka };
  const fork = Math.max(low, (await lastShared(options, place)) ?? 0);
  return { shard, head, diverged: at.found, fork, epochInKafka };
}

async function logFinding(options: InspectOptions, log: RelayedLog): Promise<LogFinding> {
  const { db, kafka } = options;
  const { name: topic, partitions } = await kafka.topic(log);
  const numbers = Array.from({ length: options.shards }, (_, shard) => shard);
  const comparable = partitions === options.shards;
  const ends = await Promise.all(
    numbers.map(async (shard) => ({ shard, end: comparable ? await kafka.tail(log, shard) : undefined })),
  );
  const known = await knownOf(
    db,
    log.log,
    ends.map(({ shard, end }) => ({ shard, end: typeof end === 'object' ? end : undefined })),
  );
  const shards = await Promise.all(
    ends.flatMap(({ shard, end }) => {
      const one = known.get(shard);
      return one ? [shardFinding(options, { log, shard }, end, one)] : [];
    }),
  );
  return { log, topic, partitions, shards };
}

export const isDiverged = ({ shards }: LogFinding): boolean =>
  shards.some(({ diverged }) => diverged !== undefined);

/** @throws TidemarkError `broker_unavailable`; as `Database.query` */
export async function inspectLogs(options: InspectOptions): Promise<LogFinding[]> {
  const findings: LogFinding[] = [];
  for (const log of options.logs) findings.push(await logFinding(options, log));
  return findings;
}
