/** Records of other systems in the three forms in which they come, and what is said of those in none. */
import { CloudEvent, Kafka } from 'cloudevents';
import { describe, expect, test } from 'vitest';
import { positionOf, takeIn } from '../../../src/inbound/intake.js';
import { foreign } from '../../support/foreign.js';

const BINARY = {
  ce_specversion: '1.0',
  ce_id: 'e-1',
  ce_source: '/billing',
  ce_type: 'payment.captured',
};
const ENVELOPE = { specversion: '1.0', id: 'e-1', source: '/billing', type: 'payment.captured' };
const STRUCTURED = { 'content-type': 'application/cloudevents+json' };

describe('a record', () => {
  test('that is plain JSON has its place for an id', () => {
    const record = foreign({ a: 1 }, { own: 'x', 'X-Twice': ['a', Buffer.from('b')] });
    expect(takeIn(record)).toEqual({
      attributes: undefined,
      record: {
        data: { a: 1 },
        id: 'billing.payments/2/41',
        key: 'k-1',
        headers: { own: 'x', 'x-twice': 'b' },
        topic: 'billing.payments',
        partition: 2,
        offset: 41,
      },
    });
    expect(positionOf(record)).toBe('billing.payments/2/41');
  });

  test('that is a CloudEvent in binary mode has its attributes', () => {
    const more = { ce_subject: 's', ce_time: '2026-01-01T00:00:00Z', ce_own: Buffer.from('ü') };
    const { record, attributes } = takeIn(
      foreign(7, { ...BINARY, ...more, 'content-type': 'application/json; charset=utf-8' }, { key: null }),
    );
    expect(record).toMatchObject({
      data: 7,
      id: 'e-1',
      source: '/billing',
      type: 'payment.captured',
      subject: 's',
      time: '2026-01-01T00:00:00Z',
      key: null,
    });
    expect(attributes).toMatchObject({ id: 'e-1', own: 'ü' });
  });

  test('that is a structured CloudEvent has its data inside', () => {
    const { record, attributes } = takeIn(
      foreign({ ...ENVELOPE, sequence: 5, data: { a: [1] }, extra: { nested: true } }, STRUCTURED),
    );
    expect(record).toMatchObject({ data: { a: [1] }, id: 'e-1', type: 'payment.captured' });
    expect(attributes).toEqual({ ...ENVELOPE, sequence: '5' });
    const encoded = Buffer.from('{"a":1}').toString('base64');
    expect(takeIn(foreign({ ...ENVELOPE, data_base64: encoded }, STRUCTURED)).record.data).toEqual({ a: 1 });
    expect(takeIn(foreign(ENVELOPE, STRUCTURED)).record.data).toBeNull();
  });

  test('without a value has no data', () => {
    expect(takeIn(foreign(null)).record.data).toBeNull();
    expect(takeIn(foreign(null, BINARY)).record.data).toBeNull();
  });

  test.each(['binary', 'structured'] as const)('is read as the cloudevents package writes it: %s', (mode) => {
    const event = new CloudEvent({
      ...ENVELOPE,
      subject: 's-1',
      correlationid: 'talk-1',
      datacontenttype: 'application/json',
      data: { orderId: 'o-1' },
    });
    const { headers, value } = Kafka[mode](event);
    const bytes = typeof value === 'string' ? Buffer.from(value) : value;
    const taken = takeIn(foreign(bytes, headers as Record<string, string>));
    expect(taken.record).toMatchObject({ data: { orderId: 'o-1' }, id: 'e-1', subject: 's-1' });
    expect(taken.attributes).toMatchObject({ correlationid: 'talk-1', type: 'payment.captured' });
  });
});

describe('unreadable is', () => {
  test.each<[string, unknown, Record<string, string>, RegExp]>([
    ['no JSON', Buffer.from('{'), {}, /the value is no JSON: /],
    ['nothing at all', Buffer.alloc(0), {}, /the value is no JSON: /],
    ['no UTF-8', Buffer.from([0x22, 0xff, 0x22]), {}, /the value is no UTF-8/],
    ['an image', Buffer.from('x'), { 'content-type': 'image/png' }, /expected JSON, .* image\/png/],
    ['a CloudEvent in Avro', { a: 1 }, { ...BINARY, 'content-type': 'avro/binary' }, /expected JSON/],
    ['a CloudEvent without an id', {}, { ...BINARY, ce_id: '' }, /a CloudEvent without id/],
    ['one of another version', {}, { ...BINARY, ce_specversion: '0.1' }, /version 0.1: expected 1.0/],
    [
      'a batch',
      [],
      { 'content-type': 'application/cloudevents-batch+json' },
      /expected application\/cloudevents/,
    ],
    ['an envelope that is a list', [], STRUCTURED, /no JSON object/],
    ['an envelope that is nothing', null, STRUCTURED, /no JSON object/],
    ['an envelope without a source', { ...ENVELOPE, source: undefined }, STRUCTURED, /without source/],
    [
      'an envelope around XML',
      { ...ENVELOPE, datacontenttype: 'text/xml', data: '<a/>' },
      STRUCTURED,
      /expected JSON, .* text\/xml/,
    ],
  ])('%s', (_what, value, headers, message) => {
    const reading = () => takeIn(foreign(value, headers));
    expect(reading).toThrow(message);
    expect(reading).toThrow(expect.objectContaining({ code: 'unreadable_record' }));
  });
});
