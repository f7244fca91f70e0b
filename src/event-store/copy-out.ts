/**
 * Many events at once, for whoever builds a read model: by COPY, sorted by Postgres, while the one before is still folded.
 * Nothing is held but what the connection has under way.
 */
import type { StoredEvent } from '../domain/events.js';
import { TidemarkError } from '../platform/errors.js';
import { CopyLines, CopySession, copyText } from '../platform/postgres/copy.js';
import { isoFromPostgres, type Database } from '../platform/postgres/database.js';
import { metadataFrom, tagsFrom } from './stored-json.js';
import { ShardSeqs } from './shard-seqs.js';
import { copyInTime, copyStreams, type ShardRange } from './copy-statements.js';

export type { ShardRange } from './copy-statements.js';

/** Parts of longer lines are made texts of their own: whoever keeps one would keep the whole line. */
const LONG_LINE = 4_096;
const own = (text: string, at: number): string => (at === DATA ? text : Buffer.from(text).toString());
const DATA = 8;

/** As the COPY statements of this room give their columns. */
function eventFrom(line: string): StoredEvent {
  let fields = line.split('\t');
  if (line.includes('\\')) fields = fields.map(copyText);
  if (line.length > LONG_LINE) fields = fields.map(own);
  const [category = '', shard, eventId = '', seq, streamId = '', version, type = '', schemaVersion] = fields;
  return {
    eventId,
    category,
    shard: Number(shard),
    seq: Number(seq),
    streamId,
    version: Number(version),
    type,
    schemaVersion: Number(schemaVersion),
    data: JSON.parse(fields[DATA] ?? ''),
    tags: tagsFrom(fields[9] ?? ''),
    metadata: metadataFrom(fields[10] ?? ''),
    recordedAt: isoFromPostgres(fields[11] ?? ''),
  };
}

/** What Postgres may use to sort one range before it goes to disk; two are under way at once. */
const WORK_MEM = '64MB';

/** One part of what is read: a statement of its own. */
interface Section<T> {
  readonly what: T;
  readonly text: string;
}

/** A section that Postgres has begun to work on. */
interface Begun<T> {
  readonly what: T;
  readonly chunks: AsyncGenerator<Buffer, void, undefined>;
  readonly first: Promise<IteratorResult<Buffer, void>>;
  readonly session: CopySession;
  /** It came to its end. */
  done: boolean;
}

async function begin<T>(session: CopySession, { what, text }: Section<T>): Promise<Begun<T>> {
  await session.query(`BEGIN READ ONLY`);
  // Whoever reads may take its time; there is nothing that anybody waits for.
  await session.query(`SET LOCAL idle_in_transaction_session_timeout = 0`);
  await session.query(`SET LOCAL statement_timeout = 0`);
  await session.query(`SET LOCAL work_mem = '${WORK_MEM}'`);
  const chunks = session.copyOut(text);
  const first = chunks.next();
  // Whoever comes to it gets the error; until then it is nobody's.
  first.catch(() => undefined);
  return { what, chunks, first, session, done: false };
}

async function* eventsOf<T>(begun: Begun<T>): AsyncGenerator<StoredEvent[]> {
  const lines = new CopyLines();
  for (let next = await begun.first; next.done !== true; next = await begun.chunks.next()) {
    const events = lines.push(next.value).map(eventFrom);
    if (events.length > 0) yield events;
  }
  await begun.session.query('COMMIT');
  begun.done = true;
}

/** Reads sections one after the other, the next one begun while one is read. */
async function* inTurn<T>(
  db: Database,
  sections: AsyncIterable<Section<T>> | Iterable<Section<T>>,
  signal?: AbortSignal,
): AsyncGenerator<{ readonly what: T; readonly events: AsyncGenerator<StoredEvent[]> }> {
  const open: CopySession[] = [];
  const idle: CopySession[] = [];
  let clean = false;
  const start = async (section: Section<T>): Promise<Begun<T>> => {
    let session = idle.pop();
    if (!session) {
      session = await CopySession.open(db, signal);
      open.push(session);
    }
    return begin(session, section);
  };
  try {
    let begun: Begun<T> | undefined;
    for await (const section of sections) {
      const next = await start(section);
      if (begun) {
        yield { what: begun.what, events: eventsOf(begun) };
        // Whoever did not want the rest leaves a connection in the middle of it.
        if (begun.done) idle.push(begun.session);
        else begun.session.close(true);
      }
      begun = next;
    }
    if (begun) yield { what: begun.what, events: eventsOf(begun) };
    clean = true;
  } finally {
    for (const session of open) session.close(!clean);
  }
}

/**
 * Shard by shard, whole streams: all events of a stream one after the other, in their order.
 * @param db a database without a time limit on statements; two connections
 * @param signal ends them at once
 * @throws as `Database.query`
 */
export async function* readStreams(
  db: Database,
  ranges: readonly ShardRange[],
  signal?: AbortSignal,
): AsyncGenerator<{ readonly range: ShardRange; readonly events: AsyncGenerator<StoredEvent[]> }> {
  const sections = ranges.map((range) => ({ what: range, text: copyStreams(db, range) }));
  for await (const { what, events } of inTurn(db, sections, signal)) yield { range: what, events };
}

/**
 * Windows of ranges in the order of time (`recorded_at`, category, shard, seq), each window after the one before.
 * @param db as for `readStreams`
 * @throws TidemarkError `internal_error` at a hole, which must never be; as `Database.query`
 */
export async function* readInTime(
  db: Database,
  windows: AsyncIterable<readonly ShardRange[]>,
  signal?: AbortSignal,
): AsyncGenerator<StoredEvent[]> {
  const last = new ShardSeqs();
  async function* sections(): AsyncGenerator<Section<readonly ShardRange[]>> {
    for await (const ranges of windows) yield { what: ranges, text: copyInTime(db, ranges) };
  }
  for await (const { what, events } of inTurn(db, sections(), signal)) {
    for (const { category, shard, after } of what) last.set(category, shard, after);
    for await (const page of events) {
      for (const { category, shard, seq } of page) {
        const due = last.get(category, shard) + 1;
        if (seq !== due)
          throw new TidemarkError(
            'internal_error',
            `log "${category}" shard ${shard}: read seq ${seq} where ${due} is due`,
          );
        last.set(category, shard, seq);
      }
      yield page;
    }
    for (const { category, shard, upto } of what) {
      if (last.get(category, shard) < upto)
        throw new TidemarkError('internal_error', `log "${category}" shard ${shard} ends before seq ${upto}`);
    }
  }
}
