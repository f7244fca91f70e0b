/**
 * Parked events go to the dead letters of their projection too, each at least once, oldest first. One process does it, elected by a
 * lease; it is woken when something is parked, and looks now and then.
 */
import type { OutgoingDeadLetter, PublishedLog, Publisher } from '../broker/ports.js';
import type { EventMetadata } from '../domain/events.js';
import { isTidemarkError, messageOf } from '../platform/errors.js';
import { service, type Service } from '../platform/lifecycle.js';
import type { Logger } from '../platform/logger.js';
import { backoff, Bell, jittered } from '../platform/pause.js';
import type { Database } from '../platform/postgres/database.js';
import type { Lease, Leases, Participation } from '../platform/postgres/leases.js';
import { parkedLog, type Wakeups } from '../platform/wakeups.js';
import { BATCH_LIMITS } from './batches.js';
import { markSent, selectUnsent } from './dead-letter-statements.js';
import { Told } from './types.js';

export interface DeadLettersOptions {
  readonly projections: readonly string[];
  readonly shards: number;
  readonly db: Database;
  readonly leases: Pick<Leases, 'join' | 'sure'>;
  readonly publisher: Pick<Publisher, 'ensure' | 'publish'>;
  readonly wakeups: Pick<Wakeups, 'on'>;
  readonly logger: Logger;
  readonly sent?: (projection: string, count: number) => void;
  /** Milliseconds between two looks; 5,000 unless told otherwise. */
  readonly everyMs?: number;
}

/** Of events, which are up to half a MiB each. */
const PAGE = 50;
const LONGEST_PAUSE_MS = 30_000;
/** Characters of what went wrong, so that a letter stays a record that brokers take. */
const MAX_ERROR = 4_000;

const cut = (text: string): string =>
  text.length <= MAX_ERROR ? text : `${text.slice(0, MAX_ERROR - 1).toWellFormed()}…`;

type Columns = [
  n: number,
  projection: string,
  error: string | null,
  attempts: number | null,
  faultSource: string | null,
  faultShard: number | null,
  faultSeq: number | null,
  epoch: string,
  category: string,
  shard: number,
  seq: number,
  eventId: string,
  streamId: string,
  version: number,
  type: string,
  schemaVersion: number,
  data: string,
  tags: string,
  metadata: string,
  recordedAt: string,
];

const metadataOf = (text: string): EventMetadata => JSON.parse(text);

function letterOf(row: Columns): OutgoingDeadLetter {
  const [, projection, error, attempts, faultSource, faultShard, faultSeq, epoch, category, shard, seq] = row;
  const [eventId, streamId, version, type, schemaVersion, data, tags, metadata, recordedAt] = [
    row[11],
    row[12],
    row[13],
    row[14],
    row[15],
    row[16],
    row[17],
    row[18],
    row[19],
  ];
  const isFault = faultSource === category && faultShard === shard && faultSeq === seq;
  const behind = `waits behind ${faultSource ?? category}, shard ${faultShard ?? shard}, seq ${faultSeq ?? 0}`;
  return {
    kind: 'dead-letter',
    shard,
    seq,
    projection,
    error: cut(isFault || error === null ? (error ?? 'it is not parked any more') : `${behind}: ${error}`),
    attempts: isFault ? (attempts ?? 0) : 0,
    event: {
      kind: 'event',
      epoch,
      category,
      shard,
      seq,
      eventId,
      streamId,
      version,
      type,
      schemaVersion,
      data,
      tags,
      metadata: metadataOf(metadata),
      recordedAt,
    },
  };
}

interface Unsent {
  readonly n: number;
  readonly letter: OutgoingDeadLetter;
}

/** In their order, cut where the projection or the shard changes, or enough is together. */
function runsOf(all: readonly Unsent[]): Unsent[][] {
  const runs: Unsent[][] = [];
  let bytes = 0;
  for (const one of all) {
    const { letter } = one;
    const run = runs.at(-1);
    const first = run?.[0]?.letter;
    const size = Buffer.byteLength(letter.event.data) + letter.error.length + 2_000;
    bytes += size;
    if (
      run &&
      first?.projection === letter.projection &&
      first.shard === letter.shard &&
      bytes < BATCH_LIMITS.maxBytes
    ) {
      run.push(one);
      continue;
    }
    runs.push([one]);
    bytes = size;
  }
  return runs;
}

/** A projection whose letters are refused, and nobody else’s. */
class Refused extends Error {
  readonly projection: string;

  constructor(projection: string, cause: unknown) {
    super(messageOf(cause), { cause });
    this.projection = projection;
  }
}

const ONE_ALONE: readonly string[] = ['topic_mismatch', 'broker_refused', 'record_too_large'];

export class DeadLetters implements Service {
  readonly name = 'dead letters';
  readonly #options: DeadLettersOptions;
  readonly #life: Service;
  readonly #bell = new Bell();
  readonly #ensured = new Set<string>();
  #ends: (() => void)[] = [];
  #election: Participation | undefined;
  #term: { readonly lease: Lease; over: boolean; readonly done: Promise<void> } | undefined;
  #trouble: string | undefined;

  constructor(options: DeadLettersOptions) {
    this.#options = options;
    this.#life = service(this.name, {
      start: () => Promise.resolve(this.#stand()),
      stop: async () => {
        for (const end of this.#ends) end();
        await this.#election?.leave();
      },
    });
  }

  start(): Promise<void> {
    return this.#life.start();
  }

  stop(): Promise<void> {
    return this.#life.stop();
  }

  get concerns(): readonly string[] {
    return this.#trouble === undefined ? [] : [`relay: dead letters cannot be sent: ${this.#trouble}`];
  }

  #stand(): void {
    const { projections, wakeups, leases } = this.#options;
    this.#ends = projections.map((name) => wakeups.on(parkedLog(name), () => this.#bell.ring()));
    this.#election = leases.join('relay/dead-letters', 1, {
      gained: (lease) => {
        const term = { lease, over: false };
        this.#term = Object.assign(term, { done: this.#run(term) });
      },
      lost: async () => {
        const term = this.#term;
        if (!term) return;
        term.over = true;
        this.#bell.ring();
        await term.done;
      },
    });
  }

  async #run(term: { readonly lease: Lease; readonly over: boolean }): Promise<void> {
    const { everyMs = 5_000, logger } = this.#options;
    let failures = 0;
    while (!term.over) {
      try {
        await this.#send(term);
        failures = 0;
        this.#trouble = undefined;
      } catch (err) {
        if (!(err instanceof Told) && this.#trouble === undefined)
          logger.warn({ err }, 'dead letters cannot be sent; trying on');
        if (!(err instanceof Told)) this.#trouble = messageOf(err);
        failures++;
        this.#ensured.clear();
      }
      if (term.over) continue;
      await this.#bell.wait(
        failures === 0 ? jittered(everyMs * 1.33) : backoff(failures, 100, LONGEST_PAUSE_MS),
      );
    }
  }

  /** Sends what waits, of each projection oldest first; what is refused of one holds up no other. */
  async #send(term: { readonly lease: Lease; readonly over: boolean }): Promise<void> {
    const { db } = this.#options;
    let refused: Refused | undefined;
    let projections = this.#options.projections;
    let before: number | undefined;
    while (!term.over) {
      const rows = await db.query<Columns>(selectUnsent(db), [projections, PAGE]);
      // Those that were passed over, as a replay has them, are looked at later.
      const [first] = rows[0] ?? [];
      if (first === before) break;
      before = first;
      try {
        for (const run of runsOf(rows.map((row) => ({ n: row[0], letter: letterOf(row) }))))
          await this.#sendRun(term.lease, run);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        refused ??= error;
        projections = projections.filter((name) => name !== error.projection);
        continue;
      }
      if (rows.length < PAGE) break;
    }
    if (refused) throw refused;
  }

  async #sendRun(lease: Lease, run: readonly Unsent[]): Promise<void> {
    const { db, leases, publisher, sent } = this.#options;
    const [first] = run;
    if (!first) return;
    const { projection, shard } = first.letter;
    const check = (): void => {
      if (!leases.sure(lease)) throw new Told('the lease may be another’s');
    };
    const log: PublishedLog = { kind: 'dead-letters', log: `${projection}.dead-letters`, projection };
    const letters = run.map(({ letter }) => letter);
    try {
      await this.#ensure(log);
      await publisher.publish(log, shard, letters, check);
    } catch (error) {
      const code = isTidemarkError(error) ? error.code : '';
      throw ONE_ALONE.includes(code) ? new Refused(projection, error) : error;
    }
    // Now, and not with the rest of the page: what fails after it is tried again and again.
    await db.query(markSent(db), [run.map(({ n }) => n)]);
    sent?.(projection, run.length);
  }

  async #ensure(log: PublishedLog): Promise<void> {
    if (this.#ensured.has(log.log)) return;
    await this.#options.publisher.ensure([log], this.#options.shards);
    this.#ensured.add(log.log);
  }
}
