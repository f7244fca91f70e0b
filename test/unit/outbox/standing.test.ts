/** Where a relay goes on: every way in which Kafka and Postgres can stand to each other. */
import { describe, expect, it, test } from 'vitest';
import type { Tail } from '../../../src/broker/ports.js';
import { standing, type Known } from '../../../src/outbox/standing.js';

const EVENTS = { kind: 'events' } as const;
const CHANGES = { kind: 'changes' } as const;

const known = (fields: Partial<Known> = {}): Known => ({
  epoch: 'e2',
  low: 0,
  head: 20,
  cursor: { epoch: 'e2', seq: 10, begun: 4 },
  mark: 'id',
  knowsEpoch: true,
  wasDiverged: false,
  ...fields,
});
const tail = (seq: number, fields: Partial<Tail> = {}): Tail => ({
  seq,
  epoch: 'e2',
  id: 'id',
  time: 'at',
  ...fields,
});
const at = (seq: number, fields: object = {}) => ({
  kind: 'at',
  seq,
  begun: Math.min(4, seq),
  mark: 'id',
  again: 0,
  skipped: 0,
  ...fields,
});
const unmarked = { mark: undefined };

describe('Kafka ends', () => {
  it('where the cursor is', () => expect(standing(EVENTS, tail(10), known())).toEqual(at(10)));
  it('beyond the cursor, as it was not moved before a crash', () =>
    expect(standing(EVENTS, tail(13), known())).toEqual(at(13)));
  it('before the cursor, as it lost records', () =>
    expect(standing(EVENTS, tail(7), known())).toEqual(at(7, { again: 3 })));
  it('nowhere, as the topic is new or was made again', () =>
    expect(standing(EVENTS, undefined, known())).toEqual(at(0, { ...unmarked, again: 10 })));
  it.each(['emptied', 'foreign'] as const)('with nothing to compare: %s', (end) =>
    expect(standing(EVENTS, end, known())).toEqual(at(10, unmarked)),
  );
  it('in an epoch of before: this one has nothing there yet, or lost it', () => {
    const end = tail(19, { epoch: 'e1', id: 'other' });
    expect(standing(EVENTS, end, known())).toEqual(at(4, { ...unmarked, again: 6 }));
    const fresh = known({ cursor: { epoch: 'e2', seq: 4, begun: 4 } });
    expect(standing(EVENTS, end, fresh)).toEqual(at(4, unmarked));
  });
});

describe('it diverges still', () => {
  it.each(['emptied', 'foreign'] as const)('where it did before and nothing is left: %s', (end) =>
    expect(standing(EVENTS, end, known({ wasDiverged: true }))).toMatchObject({ kind: 'diverged' }),
  );
});

describe('it diverges where Kafka', () => {
  it('has what anyone wrote, which is told as people can read it', () => {
    const end = tail(9, { id: `a\u0000${'x'.repeat(1_000_000)}` });
    expect(standing(EVENTS, end, known({ mark: 'mine' }))).toEqual({
      kind: 'diverged',
      found: `at seq 9, Kafka has a ${'x'.repeat(58)}, and Postgres mine`,
    });
  });

  test.each([
    ['is ahead of Postgres', tail(21), known({ mark: null }), 'Kafka ends with seq 21, and Postgres with 20'],
    ['has another event', tail(9), known({ mark: 'mine' }), 'at seq 9, Kafka has id, and Postgres mine'],
    [
      'has one that is not there',
      tail(9),
      known({ mark: null }),
      'at seq 9, Kafka has id, and Postgres nothing',
    ],
    [
      'is of a database that this one does not descend from',
      tail(3, { epoch: 'x' }),
      known({ knowsEpoch: false }),
      'Kafka ends with seq 3 of epoch x, which this database never had',
    ],
  ])('%s', (_what, end, what, found) => {
    expect(standing(EVENTS, end, what)).toEqual({ kind: 'diverged', found });
  });

  it('has a change of another time, as ids of changes are the same in every life', () => {
    const end = tail(9, { id: 'log/0/9', time: 't1' });
    expect(standing(CHANGES, end, known({ mark: 't1' }))).toEqual(at(9, { mark: 't1', again: 1 }));
    expect(standing(CHANGES, end, known({ mark: 't2' }))).toMatchObject({ kind: 'diverged' });
  });
});

describe('a log that was trimmed', () => {
  const trimmed = known({ low: 15, mark: null });
  it('beyond the cursor is skipped to its low-water mark', () =>
    expect(standing(CHANGES, tail(10), trimmed)).toEqual(at(15, { ...unmarked, begun: 4, skipped: 5 })));
  it('is skipped once', () =>
    expect(
      standing(CHANGES, tail(10), known({ ...trimmed, cursor: { epoch: 'e2', seq: 15, begun: 4 } })),
    ).toEqual(at(15, { ...unmarked, begun: 4 })));
  it('that is in another epoch is sent from there', () =>
    expect(
      standing(
        CHANGES,
        tail(99, { epoch: 'e1' }),
        known({ low: 1, cursor: { epoch: 'e1', seq: 99, begun: 0 } }),
      ),
    ).toEqual(at(1, { ...unmarked, begun: 1 })));
  it('without a record in Kafka is sent from there', () =>
    expect(standing(CHANGES, undefined, trimmed)).toEqual(at(15, { ...unmarked, begun: 15, skipped: 5 })));
  it('beyond what a topic had that was made again is sent from there', () => {
    const ahead = known({ low: 15, cursor: { epoch: 'e2', seq: 18, begun: 4 } });
    expect(standing(CHANGES, undefined, ahead)).toEqual(at(15, { ...unmarked, begun: 15, again: 3 }));
  });
});
