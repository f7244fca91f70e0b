/** What every publisher adapter must do, whatever carries the records. */
import { describe, expect, it, onTestFinished } from 'vitest';
import type { PublishedLog, Publisher, TopicInspector } from '../../src/broker/ports.js';
import { outgoingChange, outgoingEvent, outgoingEvents } from '../support/outgoing.js';

/** A record as it lies there. */
export interface PublishedRecord {
  readonly partition: number;
  readonly offset: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: Readonly<Record<string, string>>;
}

/** One application’s topics, and hands that reach into them. */
export interface PublisherWorld {
  /** A publisher in a process of its own, which is stopped with the world. */
  publisher(): Publisher & TopicInspector;
  nameOf(log: PublishedLog): string;
  records(log: PublishedLog): Promise<readonly PublishedRecord[]>;
  createTopic(
    log: PublishedLog,
    partitions: number,
    config?: Readonly<Record<string, string>>,
  ): Promise<void>;
  deleteTopic(log: PublishedLog): Promise<void>;
  /** Resolves once each partition of the topics takes records: on a busy machine, later than it is known who leads it. */
  led(logs: readonly PublishedLog[]): Promise<void>;
  /** Removes the records before an offset, as retention does. */
  removeBefore(log: PublishedLog, partition: number, offset: number): Promise<void>;
  /** Writes a record that is none of ours. */
  writeForeign(log: PublishedLog, partition: number): Promise<void>;
  /** Writes records like ours in a transaction that is rolled back. */
  writeRolledBack(log: PublishedLog, partition: number): Promise<void>;
  end(): Promise<void>;
}

const SHARDS = 3;
const orders: PublishedLog = { kind: 'events', log: 'order' };
const totals: PublishedLog = { kind: 'changes', log: 'totals.v1', projection: 'totals', version: 1 };
const letters: PublishedLog = { kind: 'dead-letters', log: 'totals.dead-letters', projection: 'totals' };

export function publisherContract(name: string, makeWorld: () => Promise<PublisherWorld>): void {
  const begin = async (): Promise<PublisherWorld> => {
    const world = await makeWorld();
    onTestFinished(() => world.end());
    return world;
  };
  const withOrders = async () => {
    const world = await begin();
    const publisher = world.publisher();
    await publisher.ensure([orders], SHARDS);
    await world.led([orders]);
    return { world, publisher };
  };

  describe(`${name}: topics`, () => {
    it('are made with a partition per shard, once, however many make them', async () => {
      const world = await begin();
      const [one, other] = [world.publisher(), world.publisher()];
      const logs = [orders, totals, letters];
      await expect(one.topic(orders)).resolves.toEqual({ name: world.nameOf(orders), partitions: undefined });
      await Promise.all([one, other, one, other].map((publisher) => publisher.ensure(logs, SHARDS)));
      await one.ensure(logs, SHARDS);
      for (const log of logs)
        expect(await other.topic(log)).toEqual({ name: world.nameOf(log), partitions: SHARDS });
      expect(await other.brokers()).toBeGreaterThan(0);
    });

    it('that were made with another number of partitions are refused, with what was expected', async () => {
      const world = await begin();
      await world.createTopic(orders, 5);
      const failed = world.publisher().ensure([totals, orders], SHARDS);
      await expect(failed).rejects.toMatchObject({
        code: 'topic_mismatch',
        message: expect.stringContaining(`${world.nameOf(orders)} has 5 partitions, expected 3`),
      });
    });

    it('of nothing need nothing', async () => {
      const world = await begin();
      await world.publisher().ensure([], SHARDS);
    });
  });

  describe(`${name}: records`, () => {
    it('stand in the partition of their shard, in order, with key, value and headers', async () => {
      const world = await begin();
      const publisher = world.publisher();
      await publisher.ensure([orders, totals, letters], SHARDS);
      await world.led([orders, totals, letters]);
      await Promise.all([
        publisher.publish(orders, 0, outgoingEvents(0, 1, 3)),
        publisher.publish(orders, 2, outgoingEvents(2, 1, 2)),
        publisher.publish(totals, 1, [
          outgoingChange(1, 1),
          outgoingChange(1, 2, { row: null, before: '{"a":1}' }),
        ]),
      ]);
      await publisher.publish(orders, 0, outgoingEvents(0, 4, 4));
      const event = outgoingEvent(1, 7, { tags: '{"ü":"ß"}' });
      await publisher.publish(letters, 1, [
        { kind: 'dead-letter', shard: 1, seq: 7, event, projection: 'totals', error: 'Ä!', attempts: 2 },
      ]);

      const found = await world.records(orders);
      expect(found.map(({ partition, offset, headers }) => [partition, offset, headers['ce_id']])).toEqual([
        [0, 0, 'event-0-1'],
        [0, 1, 'event-0-2'],
        [0, 2, 'event-0-3'],
        [0, 3, 'event-0-4'],
        [2, 0, 'event-2-1'],
        [2, 1, 'event-2-2'],
      ]);
      expect(found[0]).toMatchObject({
        key: 'o-0 ü',
        value: '{"cents": 1}',
        headers: { ce_subject: 'o-0 ü' },
      });
      expect(await world.records(totals)).toMatchObject([
        { partition: 1, key: 'k', value: '{"id":"k"}', headers: { ce_id: 'totals.v1/1/1' } },
        { partition: 1, key: 'k', value: null, headers: { ce_beforechannels: '{"a":1}' } },
      ]);
      expect(await world.records(letters)).toMatchObject([
        {
          partition: 1,
          headers: { ce_id: 'event-1-7', ce_tags: '{"ü":"ß"}', ce_error: 'Ä!', ce_attempts: '2' },
        },
      ]);
    });

    it('of more than a batch holds are cut, and stay in order', async () => {
      const { world, publisher } = await withOrders();
      const data = JSON.stringify('x'.repeat(300_000));
      const entries = Array.from({ length: 9 }, (_, index) => outgoingEvent(1, index + 1, { data }));
      await publisher.publish(orders, 1, entries);
      expect((await world.records(orders)).map(({ headers }) => headers['ce_seq'])).toEqual(
        entries.map(({ seq }) => String(seq)),
      );
    });

    it('that a topic takes only in smaller batches go in smaller ones; what is too large for it is told', async () => {
      const world = await begin();
      await world.createTopic(orders, SHARDS, { 'max.message.bytes': '5000' });
      const publisher = world.publisher();
      await publisher.ensure([orders], SHARDS);
      await world.led([orders]);
      await publisher.publish(orders, 0, outgoingEvents(0, 1, 50));
      await publisher.publish(orders, 0, outgoingEvents(0, 51, 60));
      expect((await world.records(orders)).map(({ headers }) => Number(headers['ce_seq']))).toEqual(
        Array.from({ length: 60 }, (_, index) => index + 1),
      );
      const large = outgoingEvent(0, 62, { data: JSON.stringify('x'.repeat(6_000)) });
      const failed = publisher.publish(orders, 0, [outgoingEvent(0, 61), large]);
      await expect(failed).rejects.toMatchObject({
        code: 'record_too_large',
        message: expect.stringMatching(
          /partition 0 of .*order: the record of key "o-0 ü", seq 62, is 6\d\d\d bytes/,
        ),
      });
      expect(await publisher.tail(orders, 0)).toMatchObject({ seq: 61 });
    });

    it('go out only while the check before it holds', async () => {
      const { publisher } = await withOrders();
      // Once a record is there the leader is known: before, a send may be tried again, and is checked each time.
      await publisher.publish(orders, 1, [outgoingEvent(1, 1)]);
      const data = JSON.stringify('x'.repeat(400_000));
      const entries = Array.from({ length: 6 }, (_, index) => outgoingEvent(1, index + 2, { data }));
      let left = 2;
      const publishing = publisher.publish(orders, 1, entries, () => {
        if (left-- === 0) throw new Error('the lease is over');
      });
      await expect(publishing).rejects.toThrow('the lease is over');
      expect(await publisher.tail(orders, 1)).toMatchObject({ seq: 5 });
    });

    it('that are none are sent at once', async () => {
      const { publisher } = await withOrders();
      await publisher.publish(orders, 1, []);
      expect(await publisher.tail(orders, 1)).toBeUndefined();
    });
  });

  describe(`${name}: the end of a partition`, () => {
    it('is its last record, for many at once', async () => {
      const { publisher } = await withOrders();
      await Promise.all([
        publisher.publish(orders, 0, outgoingEvents(0, 1, 300)),
        publisher.publish(orders, 2, [outgoingEvent(2, 1, { epoch: 'b7' })]),
      ]);
      const ends = await Promise.all([0, 1, 2, 0].map((shard) => publisher.tail(orders, shard)));
      const time = '2026-01-02T03:04:05.678Z';
      expect(ends).toEqual([
        { seq: 300, epoch: '1', id: 'event-0-300', time },
        undefined,
        { seq: 1, epoch: 'b7', id: 'event-2-1', time },
        { seq: 300, epoch: '1', id: 'event-0-300', time },
      ]);
    });

    it('is emptied where retention has removed all that was there', async () => {
      const { world, publisher } = await withOrders();
      await publisher.publish(orders, 0, outgoingEvents(0, 1, 5));
      await world.removeBefore(orders, 0, 3);
      expect(await publisher.bounds(orders, 0)).toEqual({ first: 3, next: 5 });
      expect(await publisher.tail(orders, 0)).toMatchObject({ seq: 5 });
      await world.removeBefore(orders, 0, 5);
      expect(await publisher.tail(orders, 0)).toBe('emptied');
      await publisher.publish(orders, 0, outgoingEvents(0, 6, 6));
      expect(await publisher.tail(orders, 0)).toMatchObject({ seq: 6 });
    });

    it('is told to be foreign where others wrote and we did not; else it is our last', async () => {
      const { world, publisher } = await withOrders();
      await world.writeForeign(orders, 0);
      expect(await publisher.tail(orders, 0)).toBe('foreign');
      await publisher.publish(orders, 0, outgoingEvents(0, 1, 2));
      for (let n = 0; n < 20; n++) await world.writeForeign(orders, 0);
      expect(await publisher.tail(orders, 0)).toMatchObject({ seq: 2 });
      await publisher.publish(orders, 0, outgoingEvents(0, 3, 3));
      expect(await publisher.tail(orders, 0)).toMatchObject({ seq: 3 });
    });

    it('is what stands before the marks of a transaction', async () => {
      const { world, publisher } = await withOrders();
      await world.writeRolledBack(orders, 1);
      expect(await publisher.tail(orders, 1)).toBe('foreign');
      await publisher.publish(orders, 0, outgoingEvents(0, 1, 2));
      await world.writeRolledBack(orders, 0);
      expect(await publisher.tail(orders, 0)).toMatchObject({ seq: 2 });
      expect((await publisher.recordFrom(orders, 0, 0))?.seq).toBe(1);
      expect(await publisher.recordFrom(orders, 0, 2)).toBeUndefined();
    });

    it('has before it what can be looked up by offset', async () => {
      const { world, publisher } = await withOrders();
      await publisher.publish(orders, 0, outgoingEvents(0, 1, 40));
      await world.writeForeign(orders, 0);
      await publisher.publish(orders, 0, outgoingEvents(0, 41, 60));
      await world.removeBefore(orders, 0, 10);
      const found = await Promise.all(
        [0, 10, 25, 40, 60, 61].map((at) => publisher.recordFrom(orders, 0, at)),
      );
      expect(found.map((one) => one && [one.offset, one.seq])).toEqual([
        [10, 11],
        [10, 11],
        [25, 26],
        [41, 41],
        [60, 60],
        undefined,
      ]);
    });
  });

  describe(`${name}: a topic that goes`, () => {
    it('while sends come is told; its end is looked up in one that was made again', async () => {
      const { world, publisher } = await withOrders();
      await publisher.publish(orders, 0, outgoingEvents(0, 1, 5));
      await world.deleteTopic(orders);
      await expect(publisher.publish(orders, 0, outgoingEvents(0, 6, 6))).rejects.toMatchObject({
        code: 'broker_unavailable',
        message: expect.stringContaining(world.nameOf(orders)),
      });
      expect(await publisher.tail(orders, 0)).toBeUndefined();
      expect(await publisher.topic(orders)).toMatchObject({ partitions: SHARDS });
      await publisher.publish(orders, 0, outgoingEvents(0, 1, 6));
      expect(await publisher.tail(orders, 0)).toMatchObject({ seq: 6 });
    });

    it('and comes back between two sends is found by its offsets', async () => {
      const { world, publisher } = await withOrders();
      await publisher.publish(orders, 0, outgoingEvents(0, 1, 5));
      await world.deleteTopic(orders);
      await world.createTopic(orders, SHARDS);
      // What a broker says right after that may still be of the old one.
      const send = (): Promise<unknown> =>
        publisher.publish(orders, 0, outgoingEvents(0, 6, 7)).catch((error: unknown) => error);
      let told = await send();
      for (const until = Date.now() + 60_000; Date.now() < until; told = await send())
        if ((told as { code?: string } | undefined)?.code !== 'broker_unavailable') break;
      expect(told).toMatchObject({ code: 'topic_remade', extra: { baseOffset: 0, partition: 0 } });
      expect(await publisher.tail(orders, 0)).toMatchObject({ seq: 7 });
      // From there on it is as any other.
      await publisher.publish(orders, 0, outgoingEvents(0, 1, 7));
    });

    it('and was removed in between for good is asked for in vain', async () => {
      const world = await begin();
      const publisher = world.publisher();
      await expect(publisher.tail(orders, 0)).rejects.toMatchObject({ code: 'broker_unavailable' });
      await expect(publisher.bounds(orders, 0)).rejects.toMatchObject({ code: 'broker_unavailable' });
      await expect(publisher.publish(orders, 0, outgoingEvents(0, 1, 1))).rejects.toMatchObject({
        code: 'broker_unavailable',
      });
    });
  });
}
