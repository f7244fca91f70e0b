/**
 * Reads single records of many partitions at once: the last ones, or the one at an offset. Over connections of our own, as a
 * consumer would join a group first, which takes about a second, and commit offsets that nobody wants.
 */
import type { FetchedRecord } from 'kafkajs/src/protocol/requests/index.js';
import type { PartitionEnd, Tail } from '../ports.js';
import { headOf } from './records.js';
import { within, type Cluster } from './wire/cluster.js';
import { CODE, refusal, translated } from './wire/errors.js';
import { API, type Link } from './wire/link.js';

/** For one look, over all its pages. */
const LOOK_MS = 15_000;
/** Bytes of a partition in one answer: a batch of ours, and then some. A larger batch comes when it is the first. */
const PARTITION_BYTES = 1_200_000;
const ANSWER_BYTES = 4 * 1024 * 1024;
const WAIT_MS = 100;
/** Kafka’s words for the two ends of a partition. */
const NEXT = -1;
const FIRST = -2;

interface Place {
  readonly topic: string;
  readonly partition: number;
}

export interface Bounds {
  /** Offset of the first record that is still there. */
  readonly first: number;
  /** Offset of the next one to come. */
  readonly next: number;
}

interface Asked extends Place {
  readonly promise: Promise<End>;
  readonly resolve: (value: End) => void;
  readonly reject: (error: unknown) => void;
}

export interface End {
  readonly end: PartitionEnd;
  /** Offset of the next record to come. */
  readonly next: number;
}

/** A partition of which the last record of ours is looked for. */
interface Looking {
  readonly asked: Asked;
  readonly bounds: Bounds;
  at: number;
  /** Others have written what was seen so far. */
  strangers: boolean;
}

/** Of one partition. */
interface Page {
  readonly error: number;
  readonly records: readonly FetchedRecord[];
  /** It begins with what cannot be read. */
  readonly unreadable: boolean;
}

type TopicPartitions<P> = readonly { readonly topic: string; readonly partitions: readonly P[] }[];

function byTopic<A extends Place, P>(places: readonly A[], one: (place: A) => P): TopicPartitions<P> {
  const topics = new Map<string, P[]>();
  for (const place of places) {
    const list = topics.get(place.topic) ?? [];
    topics.set(place.topic, list);
    list.push(one(place));
  }
  return [...topics].map(([topic, partitions]) => ({ topic, partitions }));
}

const idOf = ({ topic, partition }: Place): string => `${topic}/${partition}`;
const whereOf = ({ topic, partition }: Place): string => `partition ${partition} of ${topic}`;

/** What nobody wrote as data: marks of transactions. */
const isData = (record: FetchedRecord): boolean => !record.isControlRecord;
/** A batch of somebody whose producer compresses as kafkajs cannot read it; the connection is as good as before. */
const isUnreadable = (error: unknown): boolean =>
  error instanceof Error && error.name === 'KafkaJSNotImplemented';
/** Records of ours are never part of a transaction, and what is may have been rolled back. */
const tailOf = (record: FetchedRecord): Tail | undefined =>
  record.batchContext.inTransaction ? undefined : headOf(record);

/** The last one of ours. */
function lastOf(records: readonly FetchedRecord[]): Tail | undefined {
  for (let at = records.length - 1; at >= 0; at--) {
    const record = records[at];
    const tail = record && tailOf(record);
    if (tail) return tail;
  }
  return undefined;
}

export class Tails {
  readonly #cluster: Cluster;
  /** By partition: who asks for the same one hears the same. */
  #round: Map<string, Asked> | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /**
   * What a partition ends with, read together with what others ask for at the same time.
   * @throws TidemarkError `broker_unavailable`; `broker_refused`
   */
  end(topic: string, partition: number): Promise<End> {
    const round = (this.#round ??= this.#begin());
    const place = { topic, partition };
    const known = round.get(idOf(place));
    if (known) return known.promise;
    let [resolve, reject]: [Asked['resolve'], Asked['reject']] = [() => undefined, () => undefined];
    const promise = new Promise<End>((...settle) => {
      [resolve, reject] = settle;
    });
    round.set(idOf(place), { ...place, promise, resolve, reject });
    return promise;
  }

  /** What is asked for until the round before it is done. */
  #begin(): Map<string, Asked> {
    const round = new Map<string, Asked>();
    this.#running = this.#running.then(() => {
      this.#round = undefined;
      return this.#ends([...round.values()]);
    });
    return round;
  }

  /** @throws as `end` */
  async bounds(topic: string, partition: number): Promise<Bounds> {
    const place = { topic, partition };
    const looking = (async () => this.#boundsOf(await this.#leader(place), [place]))();
    const found = (await within(LOOK_MS, whereOf(place), looking)).get(idOf(place));
    if (!found || 'error' in found) throw found?.error ?? refusal(whereOf(place), CODE.unknownTopic);
    return found;
  }

  /**
   * The first record of ours at or after an offset.
   * @returns undefined where there is none up to the end
   * @throws as `end`
   */
  async recordFrom(
    topic: string,
    partition: number,
    offset: number,
  ): Promise<(Tail & { readonly offset: number }) | undefined> {
    const place = { topic, partition };
    let over = false;
    const looking = async (): Promise<(Tail & { readonly offset: number }) | undefined> => {
      const { first, next } = await this.bounds(topic, partition);
      const link = await this.#leader(place);
      for (let at = Math.max(first, offset); at < next && !over;) {
        const records = await this.#read(link, place, at);
        // What cannot be read says nothing of its length: it is passed over offset by offset.
        for (const record of records) {
          const tail = Number(record.offset) >= at && isData(record) ? tailOf(record) : undefined;
          if (tail) return { ...tail, offset: Number(record.offset) };
        }
        at = Number(records.at(-1)?.offset ?? at) + 1;
      }
      return undefined;
    };
    return within(LOOK_MS, whereOf(place), looking(), () => {
      over = true;
    });
  }

  #leader({ topic, partition }: Place): Promise<Link> {
    return this.#cluster.leader('read', topic, partition);
  }

  /** Each partition has its own answer: one without a leader is nobody else’s matter. */
  async #ends(round: readonly Asked[]): Promise<void> {
    const links = new Map<Link, Asked[]>();
    await Promise.all(
      round.map(async (asked) => {
        try {
          const link = await within(LOOK_MS, whereOf(asked), this.#leader(asked));
          const list = links.get(link) ?? [];
          links.set(link, list);
          list.push(asked);
        } catch (error) {
          asked.reject(error);
        }
      }),
    );
    await Promise.all(
      [...links].map(async ([link, asked]) => {
        try {
          await within(LOOK_MS, `the ends of ${asked.length} partitions`, this.#endsOf(link, asked), () =>
            link.retire(),
          );
        } catch (error) {
          // Whoever has its answer does not hear of it.
          for (const one of asked) one.reject(translated(whereOf(one), error));
        }
      }),
    );
  }

  async #endsOf(link: Link, round: readonly Asked[]): Promise<void> {
    const bounds = await this.#boundsOf(link, round);
    const open = new Map<string, Looking>();
    for (const asked of round) {
      const found = bounds.get(idOf(asked));
      if (!found || 'error' in found)
        asked.reject(found?.error ?? refusal(whereOf(asked), CODE.unknownTopic));
      else if (found.next === 0) asked.resolve({ end: undefined, next: 0 });
      else if (found.first >= found.next) asked.resolve({ end: 'emptied', next: found.next });
      else open.set(idOf(asked), { asked, bounds: found, at: found.next - 1, strangers: false });
    }
    for (let back = 1; open.size > 0;) {
      const answered = await this.#fetch(
        link,
        [...open.values()].map(({ asked: { topic, partition }, at }) => ({ topic, partition, at })),
      );
      let moved = false;
      for (const [id, one] of open) {
        const answer = answered.get(id);
        if (!answer) continue;
        const {
          asked,
          bounds: { first, next },
        } = one;
        if (answer.error !== CODE.none) {
          open.delete(id);
          asked.reject(this.#failed(asked, answer.error));
          continue;
        }
        // A broker that has no room left in its answer gives none; it is asked again.
        if (answer.records.length === 0 && !answer.unreadable) continue;
        const data = answer.records.filter((record) => isData(record) && Number(record.offset) < next);
        one.strangers ||= answer.unreadable || data.length > 0;
        const end = lastOf(data);
        if (end === undefined && one.at > first) {
          one.at = Math.max(first, next - 1 - back * 8);
          moved = true;
          continue;
        }
        open.delete(id);
        // Marks of transactions only: what they marked is gone.
        asked.resolve({ end: end ?? (one.strangers ? 'foreign' : 'emptied'), next });
      }
      if (moved) back *= 8;
    }
  }

  #failed(place: Place, code: number): Error {
    this.#cluster.forget(place.topic);
    return refusal(whereOf(place), code);
  }

  async #boundsOf(
    link: Link,
    places: readonly Place[],
  ): Promise<Map<string, Bounds | { readonly error: Error }>> {
    const ask = async (timestamp: number): Promise<Map<string, { code: number; offset: number }>> => {
      const topics = byTopic(places, ({ partition }) => ({ partition, timestamp }));
      const answer = await link
        .ask(API.listOffsets, { isolationLevel: 0, topics })
        .catch((error: unknown) => {
          throw translated(`offsets of ${places.length} partitions`, error);
        });
      return new Map(
        answer.responses.flatMap(({ topic, partitions }) =>
          partitions.map(({ partition, errorCode, offset }) => [
            idOf({ topic, partition }),
            { code: errorCode, offset: Number(offset) },
          ]),
        ),
      );
    };
    // The end first: what is removed in between makes the beginning rise, never above that end.
    const ends = await ask(NEXT);
    const begins = await ask(FIRST);
    return new Map(
      places.map((place) => {
        const [next, first] = [ends.get(idOf(place)), begins.get(idOf(place))];
        const code = (next?.code || first?.code) ?? CODE.unknownTopic;
        return [
          idOf(place),
          code === CODE.none && next && first
            ? { first: first.offset, next: next.offset }
            : { error: this.#failed(place, code) },
        ];
      }),
    );
  }

  async #read(link: Link, place: Place, at: number): Promise<readonly FetchedRecord[]> {
    const answer = (await this.#fetch(link, [{ ...place, at }])).get(idOf(place));
    if (answer?.error === CODE.none) return answer.records;
    throw this.#failed(place, answer?.error ?? CODE.unknownTopic);
  }

  /**
   * Pages of partitions. What kafkajs cannot read in one of them throws its whole answer away: then each is read by itself, and
   * of one with such a batch the batch at the offset alone.
   */
  async #fetch(
    link: Link,
    places: readonly (Place & { readonly at: number })[],
    bytes = PARTITION_BYTES,
  ): Promise<Map<string, Page>> {
    try {
      return await this.#fetchAll(link, places, bytes);
    } catch (error) {
      if (!isUnreadable(error)) throw translated(`reading ${places.length} partitions`, error);
    }
    const [only, ...more] = places;
    if (only === undefined) return new Map();
    if (more.length === 0 && bytes === 1)
      return new Map([[idOf(only), { error: CODE.none, records: [], unreadable: true }]]);
    const pages = new Map<string, Page>();
    for (const place of places) {
      const alone = await this.#fetch(link, [place], more.length === 0 ? 1 : bytes);
      for (const [id, page] of alone) pages.set(id, page);
    }
    return pages;
  }

  async #fetchAll(
    link: Link,
    places: readonly (Place & { readonly at: number })[],
    maxBytes: number,
  ): Promise<Map<string, Page>> {
    const topics = byTopic(places, ({ partition, at }) => ({ partition, fetchOffset: String(at), maxBytes }));
    const limits = { maxWaitTime: WAIT_MS, minBytes: 1, maxBytes: ANSWER_BYTES };
    const answer = await link.fetch({ isolationLevel: 0, ...limits, rackId: '', topics });
    return new Map(
      answer.responses.flatMap(({ topicName: topic, partitions }) =>
        partitions.map(({ partition, errorCode, messages }) => [
          idOf({ topic, partition }),
          { error: errorCode, records: messages, unreadable: false },
        ]),
      ),
    );
  }
}
