/**
 * The Kafka feed: entries come from topics as the relay writes them, and what Kafka repeats, loses or does not have any more
 * is dropped or read from Postgres. Shards are shared by leases as in the Postgres feed, so that both kinds of members may
 * stand in one group, and nothing stands still while Kafka is away.
 */
import type { Kafka } from 'kafkajs';
import { TidemarkError } from '../../platform/errors.js';
import type { HeadProbe } from '../../platform/head-probe.js';
import type { Wakeups } from '../../platform/wakeups.js';
import type { StoredEvent } from '../../domain/events.js';
import type { ChangeEntry } from '../../projections/types.js';
import { Members, sharedReads, type MembersOptions, type PageReader } from '../members.js';
import type { Feed, JoinRequest, Membership, Sequenced } from '../ports.js';
import { RecordConsumer } from './consumer.js';
import { Outage } from './outage.js';
import { Proofs } from './proofs.js';
import {
  changesTopic,
  decodeChange,
  decodeEvent,
  eventsTopic,
  type Decoded,
  type Foreign,
  type IncomingRecord,
} from './records.js';
import { LogStream } from './stream.js';

/** Where a log’s entries stand in Kafka, and how they are read. */
export interface KafkaLog<E> {
  readonly topic: string;
  /** @param shard the record’s partition */
  decode(shard: number, record: IncomingRecord): Decoded<E> | Foreign;
}

export interface KafkaFeedOptions<E extends Sequenced> extends MembersOptions {
  /** As `createKafka` makes it. */
  readonly kafka: Pick<Kafka, 'consumer' | 'admin'>;
  /** Name of the application: group ids are `<app>.feed.<log>.<random>`. */
  readonly app: string;
  /** `eventLogs` or `changeLogs`. */
  readonly logOf: (log: string) => KafkaLog<E>;
  /** From Postgres: what Kafka does not give. */
  readonly read: PageReader<E>;
  /** What it hints wakes readers only while Kafka is away. */
  readonly wakeups: Wakeups;
  /** Of all logs that are joined. */
  readonly probe: Pick<HeadProbe, 'onHeads' | 'probe'>;
  /**
   * Tells of entries of a log whether Postgres has them. Given, what it does not have is handed over to nobody; absent, whoever
   * handles entries sees to that, as projections do.
   */
  readonly has?: (log: string, entries: readonly E[]) => Promise<readonly boolean[]>;
  /**
   * A shard that this process did not read for so long goes on at the end of its partition, and Postgres gives what came
   * meanwhile; 5,000 ms unless told otherwise.
   */
  readonly skipAfterMs?: number;
}

/** Event logs of an application. */
export const eventLogs =
  (app: string): ((log: string) => KafkaLog<StoredEvent>) =>
  (category) => ({
    topic: eventsTopic(app, category),
    decode: (shard, record) => decodeEvent({ app, category }, shard, record),
  });

/** Change logs of an application. */
export const changeLogs =
  (app: string): ((log: string) => KafkaLog<ChangeEntry>) =>
  (log) => {
    const [, projection, version] = /^(.+)\.v(\d+)$/.exec(log) ?? [];
    if (projection === undefined || version === undefined)
      throw new TidemarkError('unknown_log', `not a change log: ${JSON.stringify(log)}`);
    return {
      topic: changesTopic(app, projection, Number(version)),
      decode: (shard, record) => decodeChange({ app, projection, log }, shard, record),
    };
  };

/** Of all inboxes of a feed together, about, and of one of them. */
const ALL_BYTES = 64 * 1024 * 1024;
const INBOX_BYTES = 2 * 1024 * 1024;
const LEAST_BYTES = 64 * 1024;
/** Between two looks at the heads that records ask for. */
const LOOK_EVERY_MS = 200;

interface Followed<E extends Sequenced> {
  readonly stream: LogStream<E>;
  deaf(): void;
}

export class KafkaFeed<E extends Sequenced> implements Feed<E> {
  readonly #options: KafkaFeedOptions<E>;
  readonly #members: Members<E>;
  readonly #read: PageReader<E>;
  readonly #followed = new Map<string, Followed<E>>();
  #lastLook = Number.NEGATIVE_INFINITY;
  #looking: NodeJS.Timeout | undefined;

  constructor(options: KafkaFeedOptions<E>) {
    this.#options = options;
    this.#members = new Members(options);
    this.#read = sharedReads(options.read);
  }

  join(request: JoinRequest<E>): Promise<Membership> {
    const followed = this.#follow(request);
    const source = followed.stream.reader((shard) => member.loop(shard));
    const member = this.#members.join(request, source);
    let stopping: Promise<void> | undefined;
    const stop = async (): Promise<void> => {
      await member.stop();
      source.leave();
      await this.#forget(request.log, followed);
    };
    return Promise.resolve({
      reopen: (shard) => member.reopen(shard),
      stop: () => (stopping ??= stop()),
    });
  }

  /** Logs that are followed and do not come from Kafka now. */
  get away(): readonly string[] {
    return [...this.#followed].flatMap(([log, { stream }]) => (stream.away ? [log] : []));
  }

  #follow({ log, shards }: JoinRequest<E>): Followed<E> {
    const known = this.#followed.get(log);
    if (known) return known;
    const { kafka, app, logger, logOf, wakeups, probe, has, observer } = this.#options;
    const { topic, decode } = logOf(log);
    const proofs = has && new Proofs<E>((entries) => has(log, entries));
    const stream = new LogStream<E>({
      log,
      shards,
      decode,
      read: (shard, after, limit) => this.#read(log, shard, after, limit),
      has: proofs && ((entry) => proofs.has(entry)),
      look: () => this.#look(),
      consume: (options) => new RecordConsumer({ kafka, topic, group: `${app}.feed.${log}`, ...options }),
      outage: new Outage({ logger, log }),
      complain: (what, details) => this.#members.complain(what, details),
      skipAfterMs: this.#options.skipAfterMs ?? 5_000,
      inboxBytes: () => this.#inboxBytes(),
      observer,
    });
    const ends = [
      wakeups.on(log, (shard, seq) => stream.hinted(shard, seq)),
      probe.onHeads(({ heads }) => stream.looked(heads)),
    ];
    const followed = {
      stream,
      deaf: () => {
        for (const end of ends) end();
      },
    };
    this.#followed.set(log, followed);
    return followed;
  }

  async #forget(log: string, followed: Followed<E>): Promise<void> {
    if (followed.stream.readers > 0 || this.#followed.get(log) !== followed) return;
    this.#followed.delete(log);
    followed.deaf();
    await followed.stream.stop();
  }

  #inboxBytes(): number {
    let flowing = 1;
    for (const { stream } of this.#followed.values()) flowing += stream.flowing;
    return Math.max(LEAST_BYTES, Math.min(INBOX_BYTES, Math.floor(ALL_BYTES / flowing)));
  }

  /** Not awaited, and not more often than it can tell something new: the probe looks by itself too. */
  #look(): void {
    if (this.#looking) return;
    const wait = this.#lastLook + LOOK_EVERY_MS - performance.now();
    this.#looking = setTimeout(
      () => {
        this.#looking = undefined;
        this.#lastLook = performance.now();
        this.#options.probe.probe().catch(() => undefined);
      },
      Math.max(0, wait),
    );
    // It is nothing to stay alive for.
    this.#looking.unref();
  }
}
