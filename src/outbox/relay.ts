/**
 * The relay: a member of the Postgres feed that sends what it reads to Kafka. Shards are shared among the relays by leases; each
 * shard is read, sent and kept account of by itself, so that one that Kafka does not take holds up no other.
 */
import type { Feed, Membership, Publisher, ShardReader, TopicInspector } from '../broker/ports.js';
import { isTidemarkError } from '../platform/errors.js';
import type { HeadProbe, Heads } from '../platform/head-probe.js';
import { service, type Service } from '../platform/lifecycle.js';
import type { Logger } from '../platform/logger.js';
import { endedWithin } from '../platform/pause.js';
import type { Database } from '../platform/postgres/database.js';
import type { Lease, Leases } from '../platform/postgres/leases.js';
import { BATCH_LIMITS, type BatchLimits } from './batches.js';
import { CursorMover } from './cursor-mover.js';
import { Divergence } from './divergence.js';
import { endBefore } from './ends.js';
import { Openings, type Claimed } from './openings.js';
import { ShardRelay } from './shard-relay.js';
import { standing, type Standing } from './standing.js';
import { ensureCursors, markDiverged, placeCursor } from './statements.js';
import { Topics } from './topics.js';
import { Trouble } from './trouble.js';
import { Told, type RelayedLog, type RelayEntry, type RelayObserver } from './types.js';

export interface RelayOptions {
  readonly logs: readonly RelayedLog[];
  /** Shards of every log. */
  readonly shards: number;
  /** The relay’s pool. */
  readonly db: Database;
  /** Reads raw entries; shares shards by leases, and leaves alone what is `Told`. */
  readonly feed: Feed<RelayEntry>;
  readonly leases: Pick<Leases, 'sure'>;
  readonly publisher: Publisher;
  readonly inspector: Pick<TopicInspector, 'bounds' | 'recordFrom'>;
  readonly probe: Pick<HeadProbe, 'onHeads'>;
  readonly logger: Logger;
  readonly observer?: RelayObserver;
  readonly limits?: BatchLimits;
  /** Entries in one page at the most; 1,000 unless told otherwise. */
  readonly maxBatch?: number;
  /** Milliseconds between two looks at what others found, and at the server; 5,000 unless told otherwise. */
  readonly lookMs?: number;
  /** How long a start waits for Kafka before it goes on without; 5,000 ms unless told otherwise. */
  readonly patienceMs?: number;
}

interface Open {
  readonly relay: ShardRelay;
  readonly log: RelayedLog;
  readonly shard: number;
  /** Where it was when heads came last: a head below that went back. */
  seen: number | undefined;
}

const idOf = (log: string, shard: number): string => `${log}/${shard}`;

export class Relay implements Service {
  readonly name = 'relay';
  readonly #options: RelayOptions;
  readonly #logger: Logger;
  readonly #life: Service;
  readonly #topics: Topics;
  readonly #openings: Openings;
  readonly #mover: CursorMover;
  readonly #trouble: Trouble;
  readonly #divergence: Divergence;
  readonly #memberships = new Map<string, Membership>();
  readonly #open = new Map<string, Open>();
  /** Partitions that began anew under a send: the offset at which our entries are. */
  readonly #remade = new Map<string, number>();
  #deaf: (() => void) | undefined;

  constructor(options: RelayOptions) {
    this.#options = options;
    const { db, publisher, shards, logs } = options;
    this.#logger = options.logger.child({ service: 'relay' });
    this.#topics = new Topics(publisher, shards);
    this.#openings = new Openings(db);
    this.#mover = new CursorMover(db, this.#logger);
    this.#trouble = new Trouble(this.#logger);
    this.#divergence = new Divergence({
      db,
      logs: logs.map(({ log }) => log),
      logger: this.#logger,
      everyMs: options.lookMs ?? 5_000,
      found: (log) => this.#reopen((open) => open.log.log === log),
      serverChanged: () => this.#reopen(() => true),
    });
    this.#life = service(this.name, { start: () => this.#start(), stop: () => this.#end() });
  }

  /** @throws TidemarkError `topic_mismatch`; a Kafka that is away is waited for after the start */
  start(): Promise<void> {
    return this.#life.start();
  }

  /** Resolves when nothing is on its way and the cursors are written. */
  stop(): Promise<void> {
    return this.#life.stop();
  }

  /** What is wrong, for people: a line each. */
  get concerns(): readonly string[] {
    return [...this.#divergence.lines, ...this.#trouble.lines];
  }

  /** Logs that stand still until `tidemark doctor --new-epoch`. */
  get diverged(): ReadonlySet<string> {
    return this.#divergence.logs;
  }

  /** Shards of a log that this process relays now. */
  shardsOf(log: string): number {
    return [...this.#open.values()].filter((open) => open.log.log === log).length;
  }

  async #start(): Promise<void> {
    const { db, logs, feed, shards, maxBatch = 1_000, probe } = this.#options;
    await db.query(ensureCursors(db), [logs.map(({ log }) => log)]);
    await this.#ensureTopics();
    this.#deaf = probe.onHeads((heads) => this.#compare(heads));
    await this.#divergence.start();
    for (const log of logs) {
      const open = (shard: number, lease?: Lease) => this.#admit(log, shard, lease);
      const request = { log: log.log, shards, group: 'relay', mode: 'shared', maxBatch, open } as const;
      this.#memberships.set(log.log, await feed.join(request));
    }
  }

  /** A topic of another shape is for who starts it; a Kafka that is away is not. */
  async #ensureTopics(): Promise<void> {
    const ready = this.#topics.ready(this.#options.logs).catch((error: unknown) => {
      if (isTidemarkError(error, 'topic_mismatch')) throw error;
    });
    // What becomes of it later is told when it is tried again.
    await endedWithin(ready, this.#options.patienceMs ?? 5_000);
  }

  async #end(): Promise<void> {
    this.#deaf?.();
    await this.#divergence.stop();
    await Promise.all([...this.#memberships.values()].map((membership) => membership.stop()));
    await this.#mover.flush();
  }

  #reopen(which: (open: Open) => boolean): void {
    for (const open of this.#open.values()) {
      if (which(open)) this.#memberships.get(open.log.log)?.reopen(open.shard);
    }
  }

  /** Heads that went back, or another epoch: the log is not the one that was followed. */
  #compare({ heads }: Heads): void {
    for (const { log, shard, head, epoch } of heads) {
      const open = this.#open.get(idOf(log, shard));
      if (!open) continue;
      const before = open.seen;
      open.seen = open.relay.position;
      // The heads may be older than what was opened or sent since they were asked for.
      if (before === undefined || (head >= before && epoch === open.relay.epoch)) continue;
      this.#memberships.get(log)?.reopen(shard);
    }
  }

  async #admit(log: RelayedLog, shard: number, lease: Lease | undefined): Promise<ShardReader<RelayEntry>> {
    if (lease === undefined) throw new Error('a relay needs a feed that shares shards by leases');
    const { db } = this.#options;
    const end = await this.#endOf(log, shard);
    const known = await this.#openings.claim({ log: log.log, shard, lease, end });
    if (known === undefined) {
      // The lease is another's; or the log was made after the start (a version that came back), and has no cursors yet.
      await db.query(ensureCursors(db), [[log.log]]);
      throw new Told('there is no cursor to take');
    }
    const place = standing(log, end, known);
    const owner = [log.log, shard, lease.holder, lease.term];
    if (place.kind === 'diverged') {
      await db.query(markDiverged(db), [...owner, place.found]);
      this.#divergence.found(log.log, shard, place.found);
      throw new Told(place.found);
    }
    if (this.#isElsewhere(known, place)) {
      const rows = await db.query(placeCursor(db), [...owner, known.epoch, place.seq, place.begun]);
      if (rows.length === 0) throw new Told('the cursor is another’s');
    }
    this.#remade.delete(idOf(log.log, shard));
    if (known.other !== undefined) {
      const [which = '', ...what] = known.other.split(': ');
      this.#divergence.found(log.log, Number(which), what.join(': '));
      throw new Told(`shard ${known.other}`);
    }
    this.#divergence.mended(log.log);
    this.#trouble.over(log.log, shard);
    this.#tell(log.log, shard, place);
    if (end === undefined && place.again > 0) this.#reopenOthers(log, shard);
    return this.#relayOf(log, shard, lease, known.epoch, place);
  }

  #isElsewhere({ epoch, cursor, wasDiverged }: Claimed, place: Extract<Standing, { kind: 'at' }>): boolean {
    return wasDiverged || cursor.epoch !== epoch || cursor.seq !== place.seq || cursor.begun !== place.begun;
  }

  #tell(log: string, shard: number, { seq, again, skipped }: Extract<Standing, { kind: 'at' }>): void {
    const { observer } = this.#options;
    if (again > 0) {
      observer?.again({ log, entries: again });
      this.#logger.warn(
        { log, shard, from: seq + 1, entries: again },
        'Kafka does not have what was sent; it is sent again',
      );
    }
    if (skipped === 0) return;
    observer?.skipped({ log, entries: skipped });
    this.#logger.error(
      { log, shard, upto: seq, entries: skipped },
      'changes were trimmed before they were sent to Kafka, which will never have them',
    );
  }

  async #endOf(log: RelayedLog, shard: number) {
    const { publisher, inspector, observer } = this.#options;
    try {
      await this.#topics.ready([log]);
      const remade = this.#remade.get(idOf(log.log, shard));
      return await (remade === undefined
        ? publisher.tail(log, shard)
        : endBefore(inspector, log, shard, remade));
    } catch (error) {
      this.#topics.doubt(log);
      observer?.failed({ log: log.log, code: this.#trouble.failed(log.log, shard, error) });
      throw new Told('Kafka does not answer', { cause: error });
    }
  }

  #relayOf(
    log: RelayedLog,
    shard: number,
    lease: Lease,
    epoch: string,
    { seq, mark }: Extract<Standing, { kind: 'at' }>,
  ): ShardRelay {
    const { publisher, leases, observer, limits = BATCH_LIMITS } = this.#options;
    const id = idOf(log.log, shard);
    const reopen = () => {
      if (this.#open.get(id)?.relay === relay) this.#memberships.get(log.log)?.reopen(shard);
    };
    const track = this.#mover.track(log.log, shard, lease, seq, () => {
      observer?.fenced({ log: log.log });
      reopen();
    });
    const relay: ShardRelay = new ShardRelay({
      log,
      shard,
      lease,
      epoch,
      seq,
      mark,
      publisher,
      leases,
      track,
      trouble: this.#trouble,
      limits,
      observer,
      failed: (error) => this.#doubt(log, shard, error),
      trimmed: () => this.#memberships.get(log.log)?.reopen(shard),
      closed: () => {
        if (this.#open.get(id)?.relay === relay) this.#open.delete(id);
      },
    });
    this.#open.set(id, { relay, log, shard, seen: undefined });
    return relay;
  }

  #doubt(log: RelayedLog, shard: number, error: unknown): void {
    this.#topics.doubt(log);
    if (!isTidemarkError(error, 'topic_remade')) return;
    const base = error.extra?.['baseOffset'];
    this.#remade.set(idOf(log.log, shard), typeof base === 'number' ? base : 0);
    this.#reopenOthers(log, shard);
  }

  /** The topic was made again: shards in which nothing happens would not find it out by themselves. */
  #reopenOthers({ log }: RelayedLog, shard: number): void {
    this.#reopen((open) => open.log.log === log && open.shard !== shard);
  }
}
