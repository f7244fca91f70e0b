/** Entries as Kafka records: CloudEvents headers to the letter, the same entry back, and nothing believed that is not ours. */
import { CloudEvent, Kafka as Binding } from 'cloudevents';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  changesTopic,
  deadLettersTopic,
  decodeChange,
  decodeEvent,
  encodeEntry,
  headOf,
  topicOf,
  type IncomingRecord,
  type OutgoingRecord,
} from '../../../src/broker/kafka/records.js';
import type { OutgoingChange, OutgoingEvent } from '../../../src/broker/ports.js';

const event: OutgoingEvent = {
  kind: 'event',
  shard: 3,
  seq: 17,
  epoch: '1a',
  eventId: '018f2f9e-5f1e-7c3a-9d4b-0a1b2c3d4e5f',
  category: 'order',
  streamId: 'o-1 ü',
  version: 4,
  type: 'OrderPaid',
  schemaVersion: 2,
  data: '{"cents": 100}',
  tags: '{"customerId":"käthe"}',
  metadata: { correlationId: 'c-1', causationId: 'k-1', actor: 'anonymous' },
  recordedAt: '2026-01-02T03:04:05.678Z',
};

const change: OutgoingChange = {
  kind: 'change',
  log: 'order_summary.v1',
  shard: 5,
  seq: 9,
  epoch: 'b2',
  projection: 'order_summary',
  key: 'o-1',
  before: '{"customerId":"c-1","paid":null}',
  row: '{"orderId":"o-1"}',
  recordedAt: '2026-01-02T03:04:05.678Z',
};

const bytes = (value: string | Buffer | null): Buffer | null => (value === null ? null : Buffer.from(value));

/** As it comes back from a broker: everything is bytes. */
const received = (record: OutgoingRecord): IncomingRecord => ({
  key: bytes(record.key),
  value: bytes(record.value),
  headers: Object.fromEntries(
    Object.entries(record.headers).map(([name, value]) => [name, Buffer.from(value)]),
  ),
});

const withHeaders = (
  record: OutgoingRecord,
  headers: NonNullable<IncomingRecord['headers']>,
): IncomingRecord => ({ ...received(record), headers: { ...received(record).headers, ...headers } });

const orders = { app: 'shop', category: 'order' };
const summaries = { app: 'shop', projection: 'order_summary', log: 'order_summary.v1' };

const count = fc.oneof(
  fc.integer({ min: 1 }),
  fc.maxSafeInteger().map((n) => Math.max(1, Math.abs(n))),
);
const epoch = fc.stringMatching(/^[0-9a-z]{1,20}$/);
const id = fc.string({ minLength: 1, unit: 'grapheme' }).filter((text) => text.isWellFormed());
const shown = fc.string({ unit: 'binary' });
const instant = fc
  .date({ min: new Date('1970-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
  .map((date) => date.toISOString());

describe('topics', () => {
  test('have the names of the contract', () => {
    expect(topicOf('shop', { kind: 'events', log: 'order' })).toBe('shop.order');
    const changes = { kind: 'changes', log: 'x', projection: 'order_summary', version: 2 } as const;
    expect(topicOf('shop', changes)).toBe('shop.order_summary.v2.changes');
    expect(changesTopic('shop', 'order_summary', 2)).toBe(topicOf('shop', changes));
    expect(deadLettersTopic('shop', 'order_summary')).toBe('shop.order_summary.dead-letters');
    expect(topicOf('shop', { kind: 'dead-letters', log: 'x', projection: 'order_summary' })).toBe(
      'shop.order_summary.dead-letters',
    );
  });
});

describe('an event', () => {
  test('is the CloudEvent of the contract, and its data goes out as it stands', () => {
    expect(
      encodeEntry('shop', { ...event, metadata: { ...event.metadata, traceparent: '00-a-b-01' } }),
    ).toEqual({
      key: 'o-1 ü',
      value: '{"cents": 100}',
      headers: {
        ce_specversion: '1.0',
        ce_id: event.eventId,
        ce_source: '/shop/order',
        ce_type: 'order.OrderPaid',
        ce_subject: 'o-1 ü',
        ce_time: event.recordedAt,
        'content-type': 'application/json',
        ce_seq: '17',
        ce_epoch: '1a',
        ce_partitionkey: 'o-1 ü',
        ce_streamversion: '4',
        ce_schemaversion: '2',
        ce_traceparent: '00-a-b-01',
        ce_correlationid: 'c-1',
        ce_causationid: 'k-1',
        ce_actor: 'anonymous',
        ce_tags: '{"customerId":"käthe"}',
      },
    });
  });

  test('has no header that would be empty', () => {
    const bare = { ...event, tags: '{}', metadata: { correlationId: 'c', causationId: '', actor: '' } };
    const { headers } = encodeEntry('shop', bare);
    for (const name of ['ce_tags', 'ce_traceparent', 'ce_causationid', 'ce_actor'])
      expect(headers).not.toHaveProperty(name);
    expect(decodeEvent(orders, 3, received(encodeEntry('shop', bare)))).toMatchObject({
      entry: { tags: {}, metadata: { correlationId: 'c', causationId: '', actor: '' } },
    });
  });

  test('is taken by a strict reader of CloudEvents', () => {
    const { key, value, headers } = encodeEntry('shop', event);
    const read = Binding.toEvent({ key, value, headers, body: value } as never);
    expect(read).toBeInstanceOf(CloudEvent);
    const { validate: _, ...attributes } = { ...(read as CloudEvent<unknown>) };
    expect(new CloudEvent(attributes, true)).toMatchObject({
      id: event.eventId,
      source: '/shop/order',
      subject: 'o-1 ü',
      seq: '17',
      epoch: '1a',
      streamversion: '4',
    });
  });

  test('comes back as it was', () => {
    const outgoing = fc.record({
      shard: fc.nat(1_000),
      seq: count,
      epoch,
      eventId: id,
      streamId: id,
      version: count,
      type: fc.stringMatching(/^[A-Za-z][A-Za-z0-9_]{0,79}$/),
      schemaVersion: count,
      data: fc.json(),
      tags: fc.dictionary(shown, shown).map((tags) => ({ ...tags })),
      metadata: fc.record({ correlationId: shown, causationId: shown, actor: shown }),
      traceparent: fc.option(id, { nil: undefined }),
      recordedAt: instant,
    });
    fc.assert(
      fc.property(outgoing, ({ traceparent, tags, ...some }) => {
        const metadata = { ...some.metadata, ...(traceparent === undefined ? {} : { traceparent }) };
        const sent = {
          ...some,
          kind: 'event',
          category: 'order',
          tags: JSON.stringify(tags),
          metadata,
        } as const;
        const { kind: _, epoch: its, ...entry } = sent;
        const record = received(encodeEntry('shop', sent));
        const head = { seq: some.seq, epoch: its, id: some.eventId };
        expect(decodeEvent(orders, some.shard, record)).toEqual({
          kind: 'entry',
          ...head,
          entry: { ...entry, data: JSON.parse(some.data), tags, metadata },
        });
        expect(headOf(record)).toEqual({ ...head, time: some.recordedAt });
      }),
    );
  });

  test.each([
    ['a record without headers', { key: null, value: null }, /ce_specversion "1.0", found "?none/],
    [
      'another application’s',
      withHeaders(encodeEntry('other', event), {}),
      /ce_source "\/shop\/order", found "\/other\/order"/,
    ],
    [
      'another category’s type',
      withHeaders(encodeEntry('shop', event), { ce_type: 'item.OrderPaid' }),
      /a type of order/,
    ],
    [
      'no type after the category',
      withHeaders(encodeEntry('shop', event), { ce_type: 'order.' }),
      /a type of order/,
    ],
    ['a seq of 0', withHeaders(encodeEntry('shop', event), { ce_seq: '0' }), /whole number from 1 as ce_seq/],
    ['a seq beyond 2^53', withHeaders(encodeEntry('shop', event), { ce_seq: '9007199254740993' }), /ce_seq/],
    ['a seq twice', withHeaders(encodeEntry('shop', event), { ce_seq: ['1', '2'] }), /one header ce_seq/],
    ['no epoch', withHeaders(encodeEntry('shop', event), { ce_epoch: undefined }), /a header ce_epoch/],
    ['a strange epoch', withHeaders(encodeEntry('shop', event), { ce_epoch: 'A-1' }), /an epoch/],
    [
      'a version that is none',
      withHeaders(encodeEntry('shop', event), { ce_streamversion: '1.5' }),
      /ce_streamversion/,
    ],
    [
      'tags that are no texts',
      withHeaders(encodeEntry('shop', event), { ce_tags: '{"a":1}' }),
      /texts as ce_tags/,
    ],
    ['tags that are no JSON', withHeaders(encodeEntry('shop', event), { ce_tags: '{' }), /JSON as ce_tags/],
    [
      'a time without zone',
      withHeaders(encodeEntry('shop', event), { ce_time: '2026-01-02T03:04:05' }),
      /ce_time/,
    ],
    ['null as header', withHeaders(encodeEntry('shop', event), { ce_id: null }), /a header ce_id/],
    [
      'another key',
      { ...received(encodeEntry('shop', event)), key: Buffer.from('o-2') },
      /the key "o-1 ü", found "o-2"/,
    ],
    ['no key', { ...received(encodeEntry('shop', event)), key: null }, /the key/],
    ['no value', { ...received(encodeEntry('shop', event)), value: null }, /a value/],
    [
      'a value that is no JSON',
      { ...received(encodeEntry('shop', event)), value: Buffer.from('<a/>') },
      /JSON as value/,
    ],
  ] satisfies [string, IncomingRecord, RegExp][])('%s is told apart', (_, record, why) => {
    const read = decodeEvent(orders, 3, record);
    expect(read).toMatchObject({ kind: 'foreign', why: expect.stringMatching(why) });
  });

  test('as a dead letter says what went wrong', () => {
    const { headers, ...rest } = encodeEntry('shop', event);
    const letter = {
      kind: 'dead-letter',
      shard: 3,
      seq: 17,
      event,
      projection: 'totals',
      attempts: 3,
    } as const;
    expect(encodeEntry('shop', { ...letter, error: 'Error: no ü' })).toEqual({
      ...rest,
      headers: { ...headers, ce_projection: 'totals', ce_error: 'Error: no ü', ce_attempts: '3' },
    });
    expect(encodeEntry('shop', { ...letter, error: '' }).headers['ce_error']).toBe('unknown');
  });
});

describe('a change', () => {
  test('is the CloudEvent of the contract', () => {
    expect(encodeEntry('shop', change)).toEqual({
      key: 'o-1',
      value: '{"orderId":"o-1"}',
      headers: {
        ce_specversion: '1.0',
        ce_id: 'order_summary.v1/5/9',
        ce_source: '/shop/order_summary',
        ce_type: 'order_summary.changed',
        ce_subject: 'o-1',
        ce_time: change.recordedAt,
        'content-type': 'application/json',
        ce_seq: '9',
        ce_epoch: 'b2',
        ce_partitionkey: 'o-1',
        ce_beforechannels: '{"customerId":"c-1","paid":null}',
      },
    });
  });

  test('comes back as it was', () => {
    const plain = fc.oneof(
      shown,
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n + 0),
      fc.boolean(),
      fc.constant(null),
    );
    const outgoing = fc.record({
      shard: fc.nat(1_000),
      seq: count,
      epoch,
      key: id,
      before: fc.option(fc.dictionary(shown, plain).map((before) => ({ ...before }))),
      row: fc.option(fc.dictionary(shown, fc.jsonValue()).map((row) => JSON.stringify(row))),
      recordedAt: instant,
    });
    fc.assert(
      fc.property(outgoing, ({ before, ...some }) => {
        const sent = { ...change, ...some, before: before === null ? null : JSON.stringify(before) };
        const { kind: _, projection: __, ...entry } = sent;
        const read = decodeChange(summaries, some.shard, received(encodeEntry('shop', sent)));
        const head = { seq: some.seq, epoch: some.epoch, id: `order_summary.v1/${some.shard}/${some.seq}` };
        expect(read).toEqual({ kind: 'entry', ...head, entry: { ...entry, before } });
      }),
    );
  });

  test.each([
    ['of another shard', 6, withHeaders(encodeEntry('shop', change), {}), /ce_id "order_summary.v1\/6\/9"/],
    [
      'with a row that is no object',
      5,
      { ...received(encodeEntry('shop', change)), value: Buffer.from('[1]') },
      /an object or nothing/,
    ],
    [
      'with channels that are no plain values',
      5,
      withHeaders(encodeEntry('shop', change), { ce_beforechannels: '{"a":{}}' }),
      /plain values/,
    ],
    ['that is an event', 5, received(encodeEntry('shop', event)), /ce_source/],
  ] satisfies [string, number, IncomingRecord, RegExp][])('%s is told apart', (_, shard, record, why) => {
    expect(decodeChange(summaries, shard, record)).toMatchObject({
      kind: 'foreign',
      why: expect.stringMatching(why),
    });
  });
});

test('nothing that anyone writes throws', () => {
  const value = fc.oneof(
    fc.uint8Array().map((some) => Buffer.from(some)),
    fc.constant(null),
    fc.string(),
  );
  const names = fc.constantFrom(
    ...Object.keys(encodeEntry('shop', event).headers),
    '__proto__',
    'toString',
    'ce_beforechannels',
  );
  const headers = fc.dictionary(names, fc.oneof(value, fc.array(value), fc.constant(undefined)));
  const buffer = fc.option(fc.uint8Array().map((some) => Buffer.from(some)));
  fc.assert(
    fc.property(buffer, buffer, headers, fc.boolean(), (key, body, some, ours) => {
      const base = ours ? received(encodeEntry('shop', event)).headers : {};
      const record = { key, value: body, headers: { ...base, ...some } };
      for (const read of [decodeEvent(orders, 0, record), decodeChange(summaries, 0, record)])
        expect(['entry', 'foreign']).toContain(read.kind);
      headOf(record);
    }),
  );
});
