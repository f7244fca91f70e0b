/**
 * One log as a process gets it from Kafka, for all its members: one consumer fills an inbox per shard, and members take what
 * follows their position from there. What is not there they read from Postgres: what was before, what was lost on the way,
 * and everything while Kafka is away.
 */
import type { LogPage } from '../../event-store/types.js';
import { jittered } from '../../platform/pause.js';
import type { LogHead } from '../../platform/postgres/logs.js';
import type { Source } from '../members.js';
import type { FeedObserver, Sequenced } from '../ports.js';
import type { ShardLoop } from '../shard-loop.js';
import type { RecordConsumer, RecordConsumerOptions } from './consumer.js';
import { Inbox } from './inbox.js';
import type { Outage } from './outage.js';
import { headOf, type Decoded, type Foreign, type IncomingRecord } from './records.js';

export interface LogStreamOptions<E extends Sequenced> {
  readonly log: string;
  readonly shards: number;
  decode(shard: number, record: IncomingRecord): Decoded<E> | Foreign;
  /** From Postgres. */
  read(shard: number, after: number, limit: number): Promise<LogPage<E>>;
  /** Whether Postgres has an entry. Undefined: whoever handles entries sees to that. */
  readonly has: ((entry: E) => Promise<boolean>) | undefined;
  /** Asks for a look at all heads; what it finds comes by `looked`. */
  look(): void;
  consume(options: Pick<RecordConsumerOptions, 'records' | 'wanted' | 'began' | 'lost'>): RecordConsumer;
  complain(what: string, details: Readonly<Record<string, unknown>>): void;
  /** Tells when the consumer is lost, and when one reads again. */
  readonly outage: Pick<Outage, 'lost' | 'over'>;
  /** A partition that nobody read for so long, in milliseconds, goes on at its end: what came meanwhile is read from Postgres. */
  readonly skipAfterMs: number;
  /** Bytes that an inbox may hold as things are. */
  inboxBytes(): number;
  readonly observer: FeedObserver | undefined;
}

/** Records that an inbox holds at the most. */
const INBOX_RECORDS = 10_000;
/** Whoever read so many entries from Postgres before it came back to the inbox has made up a lag. */
const LAG = 10_000;
/** Before a hole is read from Postgres, as all processes find it in the same moment. */
const HOLE_PAUSE_MS = 10;

interface Shard {
  readonly inbox: Inbox;
  /** Of the log, as last seen in Postgres; undefined before the first look. */
  epoch: string | undefined;
  /** Head at the last look of the probe. */
  looked: number;
  /** What Kafka has is fetched. */
  flowing: boolean;
  /** Since when nobody reads it; undefined while somebody does. */
  idleSince: number | undefined;
  /** Kafka has lost a tail and has not kept up since: hints wake readers, as they do while Kafka is away. */
  silent: boolean;
}

/** How far a member has come in a shard that is open. */
interface Place {
  /** Seq of the last entry that was given to it. */
  given: number;
  /** Entries that it got from Postgres since it last got one from the inbox. */
  behind: number;
}

interface Reader<E extends Sequenced> {
  readonly places: Map<number, Place>;
  loop(shard: number): ShardLoop<E> | undefined;
}

export class LogStream<E extends Sequenced> {
  readonly #options: LogStreamOptions<E>;
  readonly #shards: readonly Shard[];
  readonly #readers = new Set<Reader<E>>();
  readonly #consumer: RecordConsumer;
  /** A consumer was lost, and none has read since, as far as anyone has looked. */
  #lost = false;

  constructor(options: LogStreamOptions<E>) {
    this.#options = options;
    this.#shards = Array.from({ length: options.shards }, () => ({
      inbox: new Inbox(),
      epoch: undefined,
      looked: 0,
      flowing: false,
      idleSince: Number.NEGATIVE_INFINITY,
      silent: false,
    }));
    const { log, observer } = options;
    this.#consumer = options.consume({
      records: (partition, records) => this.#arrived(partition, records),
      wanted: (partition) => this.#shards[partition]?.flowing ?? false,
      began: (partitions) => {
        options.outage.over();
        this.#began(partitions);
      },
      lost: (error) => {
        this.#lost = true;
        observer?.consumerReplaced?.(log);
        options.outage.lost(error);
      },
    });
    options.look();
  }

  get readers(): number {
    return this.#readers.size;
  }

  /** Nothing comes from Kafka, and readers go by Postgres; not so where nobody reads. */
  get away(): boolean {
    if (this.#consumer.live) this.#lost = false;
    return this.#lost && this.flowing > 0;
  }

  /** Inboxes that may fill. */
  get flowing(): number {
    return this.#shards.filter(({ flowing }) => flowing).length;
  }

  /** What a member takes its entries from; `leave` when its loops have ended. */
  reader(loop: (shard: number) => ShardLoop<E> | undefined): Source<E> & { leave(): void } {
    const reader: Reader<E> = { places: new Map(), loop };
    this.#readers.add(reader);
    return {
      read: (shard, after, limit) => this.#read(reader, shard, after, limit),
      closed: (shard, failed) => {
        reader.places.delete(shard);
        // What stands there may be of another time.
        if (failed) this.#shards[shard]?.inbox.drop();
        this.#flow(shard);
      },
      leave: () => this.#readers.delete(reader),
    };
  }

  /** Resolves when no record comes any more. */
  stop(): Promise<void> {
    return this.#consumer.stop();
  }

  /** Somebody says that a shard has grown. Kafka tells it soon, unless it is away. */
  hinted(shard: number, seq: number): void {
    const { silent } = this.#shards[shard] ?? { silent: false };
    if (!silent && this.#consumer.live) return;
    for (const reader of this.#readers) reader.loop(shard)?.hint(seq);
  }

  /** Heads as a look of the probe found them. */
  looked(heads: readonly LogHead[]): void {
    for (const head of heads) {
      const shard = head.log === this.#options.log ? this.#shards[head.shard] : undefined;
      if (!shard) continue;
      const changed = shard.epoch !== undefined && shard.epoch !== head.epoch;
      const before = shard.looked;
      if (changed) shard.inbox.drop();
      shard.epoch = head.epoch;
      shard.looked = head.head;
      // Where its readers are to begin is for them to say: the log begins anew, or at a fork.
      if (changed) for (const reader of this.#readers) reader.loop(head.shard)?.reopen();
      // What stands here is of another time where Postgres went back.
      for (const reader of this.#readers) if (reader.loop(head.shard)?.looked(head.head)) shard.inbox.drop();
      this.#findTail(head.shard, shard, Math.min(before, head.head));
    }
  }

  /** What was there a look ago and is still missing, Kafka has lost. */
  #findTail(at: number, shard: Shard, seq: number): void {
    for (const reader of this.#readers) {
      const place = reader.places.get(at);
      const loop = reader.loop(at);
      if (!place || !loop?.resting || place.given >= seq || shard.inbox.covers(place.given)) continue;
      if (this.#consumer.live) this.#options.observer?.tailFound?.(this.#options.log);
      shard.silent = true;
      loop.hint(seq);
    }
  }

  #arrived(partition: number, records: readonly IncomingRecord[]): void {
    const shard = this.#shards[partition];
    // Until the epoch is known, Postgres gives what there is.
    if (!shard || shard.epoch === undefined || shard.idleSince !== undefined) return;
    const { inbox } = shard;
    const before = inbox.last;
    // Of an earlier fetch; its reader may stand still for hours, and fetches would pile up.
    const waiting = inbox.count > 0;
    let foreign = 0;
    let repeats = 0;
    for (const record of records) {
      const head = headOf(record);
      if (!head || head.epoch !== shard.epoch) {
        foreign++;
        if (head) this.#options.look();
        continue;
      }
      const last = inbox.last;
      const arrival = inbox.offer(head.seq, record, waiting);
      if (arrival === 'repeat') repeats++;
      if (arrival === 'gap') this.#missed(partition, (last ?? 0) + 1, head.seq);
    }
    const { observer, log } = this.#options;
    if (repeats > 0) observer?.repeatsDropped?.(log, repeats);
    if (foreign > 0) observer?.foreignDropped?.(log, foreign);
    const { last } = inbox;
    if (last === undefined || last === before) return;
    if (last >= shard.looked) shard.silent = false;
    this.#flow(partition);
    for (const reader of this.#readers) if (reader.places.has(partition)) reader.loop(partition)?.hint(last);
  }

  /** What is here may not go on with what comes next, and a look at Postgres tells what nobody told of meanwhile. */
  #began(partitions: readonly number[]): void {
    for (const at of partitions) {
      this.#shards[at]?.inbox.drop();
      for (const reader of this.#readers) if (reader.places.has(at)) reader.loop(at)?.hint(0);
    }
  }

  /** Kafka has left entries out: those who need them will have had them once they are past them. */
  #missed(at: number, first: number, found: number): void {
    for (const reader of this.#readers) {
      const given = reader.places.get(at)?.given ?? found;
      if (given < found - 1) reader.loop(at)?.missed(Math.max(given + 1, first));
    }
  }

  async #read(reader: Reader<E>, at: number, after: number, limit: number): Promise<LogPage<E>> {
    const shard = this.#shards[at];
    if (!shard) return this.#options.read(at, after, limit);
    const { inbox } = shard;
    const place = reader.places.get(at) ?? { given: after, behind: 0 };
    reader.places.set(at, place);
    place.given = after;
    this.#flow(at);
    const entries = await this.#fromInbox(at, shard, after, limit);
    if (entries) {
      if (place.behind >= LAG) this.#options.observer?.lagMadeUp?.(this.#options.log);
      place.behind = 0;
      place.given = entries.at(-1)?.seq ?? after;
      this.#flow(at);
      return { kind: 'entries', entries };
    }
    // It has all that came, and what is coming will be told. A tail that is lost makes the shard a silent one.
    if (after === inbox.last && shard.flowing && !shard.silent && this.#consumer.live)
      return { kind: 'entries', entries: [] };
    const beyond = inbox.count > 0 && (inbox.last ?? 0) > after;
    if (beyond && place.behind === 0)
      await new Promise((resolve) => setTimeout(resolve, jittered(HOLE_PAUSE_MS)));
    const page = await this.#options.read(at, after, limit);
    if (page.kind === 'trimmed') return page;
    place.given = page.entries.at(-1)?.seq ?? after;
    place.behind += page.entries.length;
    if (beyond && page.entries.length === 0) this.#disown(reader, at, inbox, after);
    return page;
  }

  /**
   * What stands here beyond a hole was never in Postgres, or is there no more: left where it is, all that is true would be
   * taken for repeats of it.
   */
  #disown(reader: Reader<E>, at: number, inbox: Inbox, after: number): void {
    const details = { log: this.#options.log, shard: at, after, found: inbox.last };
    this.#options.complain('Kafka has what Postgres does not have; it is left out', details);
    inbox.drop();
    // What came in the meantime was one of those repeats.
    reader.loop(at)?.hint(0);
  }

  /**
   * What follows a position, where it is here and, where that has to be known, in Postgres too. The last entry speaks for those
   * before it: what Kafka has of a log differs from Postgres only from some seq on.
   */
  async #fromInbox(at: number, shard: Shard, after: number, limit: number): Promise<E[] | undefined> {
    const { inbox, epoch } = shard;
    if (!inbox.covers(after)) return undefined;
    const entries = this.#decode(at, inbox, after, limit);
    const last = entries.at(-1);
    const { has, log } = this.#options;
    if (last && has && !(await has(last))) {
      const details = { log, shard: at, seq: last.seq };
      this.#options.complain('Kafka has what Postgres does not have; it is left out', details);
      entries.length = 0;
    }
    if (shard.epoch !== epoch) return undefined;
    if (entries.length > 0) return entries;
    inbox.drop();
    return undefined;
  }

  /** Up to the first record that cannot be read. */
  #decode(at: number, inbox: Inbox, after: number, limit: number): E[] {
    const entries: E[] = [];
    for (const { seq, record } of inbox.after(after, limit)) {
      const decoded = this.#options.decode(at, record);
      if (decoded.kind === 'entry') {
        entries.push(decoded.entry);
        continue;
      }
      const details = { log: this.#options.log, shard: at, seq, why: decoded.why };
      this.#options.complain('a record cannot be read, and Postgres is read instead', details);
      break;
    }
    return entries;
  }

  /** Lets records come as long as somebody wants them and there is room, and forgets those that nobody waits for. */
  #flow(at: number): void {
    const shard = this.#shards[at];
    if (!shard) return;
    const { inbox } = shard;
    const given = [...this.#readers].flatMap(({ places }) => places.get(at)?.given ?? []);
    if (given.length === 0) {
      inbox.drop();
      shard.idleSince ??= performance.now();
      if (shard.flowing) this.#consumer.pause(at);
      shard.flowing = false;
      return;
    }
    inbox.trim(Math.min(...given));
    const bytes = this.#options.inboxBytes();
    const full = (share: number): boolean =>
      inbox.bytes > bytes * share || inbox.count > INBOX_RECORDS * share;
    // Only whoever is first holds it up: those behind read what they miss from Postgres.
    if (full(1)) inbox.trim(Math.max(...given));
    const { idleSince } = shard;
    if (shard.flowing && full(1)) {
      shard.flowing = false;
      this.#consumer.pause(at);
    } else if (!shard.flowing && !full(0.5)) {
      shard.flowing = true;
      shard.idleSince = undefined;
      this.#consumer.resume(
        at,
        idleSince !== undefined && performance.now() - idleSince > this.#options.skipAfterMs,
      );
    }
  }
}
