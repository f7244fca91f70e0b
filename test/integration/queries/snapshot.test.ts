/** Rows and the cursor beside them are of one snapshot, while rows and changes are written all the time. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { CursorPayload } from '../../../src/protocol/positions.js';
import { parseListRequest } from '../../../src/queries/list-request.js';
import { parametersOf } from '../../../src/queries/parameters.js';
import { shardOf } from '../../../src/platform/murmur2.js';
import { Views } from '../../../src/queries/views.js';
import { Sample, sampleApp } from '../../support/sample-view.js';
import { sampleDatabase, sampleRow, type SampleDatabase } from './sample-database.js';

let sample: SampleDatabase;
let views: Views;

beforeAll(async () => {
  sample = await sampleDatabase();
  views = new Views({ app: sampleApp, db: sample.db, signer: sample.signer });
});
afterAll(() => sample.end());

const SHARD = shardOf('row', sampleApp.shards);
const ROUNDS = 150;

/** One change, as a projector commits it: the row and its entry of the change log in one transaction. */
async function commit(seq: number): Promise<void> {
  const { db } = sample;
  await db.transaction(async (tx) => {
    await tx.query(
      `INSERT INTO ${db.table('changes')} (log, shard, seq, slot, key, recorded_at) VALUES ('sample.v1', $1, $2, 0, 'row', now())`,
      [SHARD, seq],
    );
    await tx.query(`UPDATE ${db.table('sample__v1')} SET amount = $1, _rev = $1 WHERE id = 'row'`, [seq]);
  });
}

const headIn = (cursor: string | undefined): number => {
  const payload = sample.signer.verify(cursor ?? '') as CursorPayload;
  return payload.pos.find(([shard]) => shard === SHARD)?.[1] ?? 0;
};

it('a read never has a row without its change, nor a change without its row', async () => {
  await sample.put([sampleRow('row', { amount: 0 })]);
  const seen = new Set<number>();
  let writing = true;
  const writer = (async () => {
    for (let seq = 1; seq <= ROUNDS || seen.size <= 5; seq++) await commit(seq);
    writing = false;
  })();
  const request = parseListRequest(Sample, parametersOf({ name: 'n', sort: '-amount' }));
  while (writing) {
    const list = await views.list(Sample, request, true);
    const [item] = JSON.parse(list.json).items as { amount: number }[];
    expect(headIn(list.cursor)).toBe(item?.amount);
    const one = await views.row(Sample, 'row', true);
    const { amount } = JSON.parse(one.row?.json ?? '') as { amount: number };
    expect(headIn(one.cursor)).toBe(amount);
    seen.add(amount);
  }
  await writer;
  expect(seen.size).toBeGreaterThan(5);
});
