/** The judge of topics sees what it is there to see: a hole, a lost tail, a ghost, a wrong begin; and lets repeats pass. */
import { expect, it } from 'vitest';
import type { KafkaRecord } from '../../support/kafka/tools.js';
import { markOf, partitionFaults, type Begin } from './topics.js';

const record = (seq: number, epoch: string, id: string): KafkaRecord => ({
  partition: 0,
  offset: seq,
  key: null,
  value: '{}',
  headers: { ce_seq: String(seq), ce_epoch: epoch, ce_id: id, ce_time: 't' },
  timestamp: 0,
});

/** In Postgres: entries 1 to 4, ids `e1` to `e4`, of epoch `b`. */
type Entry = readonly [seq: number, epoch?: string, id?: string];

function judged(records: readonly Entry[], begin: Begin = 'first') {
  const ids = new Map([1, 2, 3, 4].map((seq) => [seq, markOf(`e${seq}`, 't')]));
  const all = records.map(([seq, epoch = 'b', id = `e${seq}`]) => record(seq, epoch, id));
  return partitionFaults('p', all, { epoch: 'b', head: 4, ids }, begin);
}

it('entries in order are well, and so are steps back', () => {
  expect(judged([[1], [2], [3], [4]])).toEqual({ faults: [], again: 0 });
  expect(judged([[1], [2], [3], [2], [4], [3]])).toEqual({ faults: [], again: 2 });
});

it('a hole, a late begin and a lost tail are seen', () => {
  expect(judged([[1], [2], [4]]).faults).toEqual(['p: seq 4 at offset 4 after 2']);
  expect(judged([[2], [3], [4]]).faults).toEqual(['p: seq 2 at offset 2 after 0']);
  expect(judged([[1], [2], [3]]).faults).toEqual(['p: its last seq is 3, the head is 4']);
  expect(judged([]).faults).toEqual(['p: its last seq is 0, the head is 4']);
});

it('what Postgres does not have is seen', () => {
  expect(judged([[1], [2, 'b', 'ghost'], [3], [4]]).faults).toEqual([
    'p: ghost of t at seq 2, Postgres has e2 of t',
  ]);
  expect(judged([[1, 'a'], [1], [2], [3], [4]]).faults).toEqual(['p: 1 records of another epoch']);
});

it('where records were removed, it may begin anywhere; it must still have no hole', () => {
  expect(judged([[3], [4]], 'any').faults).toEqual([]);
  expect(judged([], 'any').faults).toEqual([]);
  expect(judged([[2], [4]], 'any').faults).toEqual(['p: seq 4 at offset 4 after 2']);
});

it('a new epoch begins after the last entry that both histories have', () => {
  const before: readonly Entry[] = [
    [1, 'a'],
    [2, 'a'],
    [3, 'a', 'ghost'],
    [4, 'a', 'ghost'],
  ];
  expect(judged([...before, [3], [4]], 'fork').faults).toEqual([]);
  expect(judged([...before, [4]], 'fork').faults).toEqual(['p: seq 4 at offset 4 after 2']);
});
