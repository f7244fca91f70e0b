/** When a command of a record is the same command, and what its events remember. */
import { describe, expect, test } from 'vitest';
import type { SentCommand } from '../../../src/domain/consume.js';
import type { ForeignRecord } from '../../../src/broker/ports.js';
import { keysOf, provenanceOf } from '../../../src/inbound/identity.js';
import { takeIn } from '../../../src/inbound/intake.js';
import { foreign } from '../../support/foreign.js';

const event = (id: string, more: Record<string, string> = {}, place: Partial<ForeignRecord> = {}) =>
  foreign({}, { ce_specversion: '1.0', ce_id: id, ce_source: '/billing', ce_type: 't', ...more }, place);

const sent = (streamId: string, command = 'pay'): SentCommand => ({
  kind: 'command',
  aggregate: 'order',
  streamId,
  command,
  payload: {},
});

const keys = (record: ForeignRecord, ...commands: SentCommand[]) => keysOf(record, takeIn(record), commands);

describe('keys', () => {
  test('of a CloudEvent follow from its source and id, wherever it stands', () => {
    const first = keys(event('e-1'), sent('o-1'));
    expect(keys(event('e-1', {}, { partition: 0, offset: 99, timestamp: 1 }), sent('o-1'))).toEqual(first);
    expect(keys(event('e-2'), sent('o-1'))).not.toEqual(first);
    expect(keys(event('e-1', { ce_source: '/other' }), sent('o-1'))).not.toEqual(first);
  });

  test('of a record without an id follow from its place and time', () => {
    const first = keys(foreign({}), sent('o-1'));
    expect(keys(foreign({ other: 1 }), sent('o-1'))).toEqual(first);
    for (const other of [{ offset: 42 }, { partition: 3 }, { topic: 't' }, { timestamp: 5 }])
      expect(keys(foreign({}, {}, other), sent('o-1'))).not.toEqual(first);
  });

  test('do not follow from the place in the list: others may come before, or go', () => {
    const [pay = ''] = keys(event('e-1'), sent('o-1'));
    expect(keys(event('e-1'), sent('o-1', 'note'), sent('o-2'), sent('o-1'))[2]).toBe(pay);
  });

  test('tell streams and repeats of a command apart', () => {
    const many = keys(event('e-1'), sent('o-1'), sent('o-2'), sent('o-1'), sent('o-1'));
    expect(new Set(many).size).toBe(4);
    for (const key of many) expect(key).toMatch(/^[A-Za-z0-9_-]{43}$/);
  });
});

describe('provenance', () => {
  const of = (record: ForeignRecord) => provenanceOf(record, takeIn(record));
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

  test('a record is the cause, and its conversation goes on', () => {
    expect(of(event('e-1'))).toEqual({ causationId: 'e-1', correlationId: 'e-1' });
    expect(of(event('e-1', { ce_correlationid: 'talk-1', ce_traceparent: traceparent }))).toEqual({
      causationId: 'e-1',
      correlationId: 'talk-1',
      traceparent,
    });
    expect(of(foreign({}, { traceparent }))).toMatchObject({
      causationId: 'billing.payments/2/41',
      traceparent,
    });
  });

  test('what Postgres or W3C would refuse is left out', () => {
    const long = 'x'.repeat(201);
    expect(of(event(long))).toMatchObject({ causationId: 'billing.payments/2/41' });
    expect(of(event('e\u0000'))).toMatchObject({ causationId: 'billing.payments/2/41' });
    expect(of(event('e-1', { ce_correlationid: long, ce_traceparent: '00-zz' }))).toEqual({
      causationId: 'e-1',
      correlationId: 'e-1',
    });
  });
});
