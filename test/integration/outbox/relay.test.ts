/** The relay on a real Postgres and a real Kafka: order, completeness, and who sends. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { describeKafka, kafka, uniqueName } from '../../support/kafka.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { append } from '../../support/projecting.js';
import {
  allSeqs,
  cursors,
  heads,
  LOG,
  seqsInKafka,
  startRelaying,
  type RelayingOptions,
  type RelayingProcess,
} from '../../support/relaying.js';

let pg: FreshDatabase;
let app = '';
let processes: RelayingProcess[] = [];

const start = async (options: RelayingOptions = {}): Promise<RelayingProcess> => {
  const process = await startRelaying(pg.url, app, options);
  processes.push(process);
  return process;
};

beforeEach(async () => {
  pg = await freshDatabase();
  app = uniqueName('relay');
  processes = [];
});
afterEach(async () => {
  await Promise.all(processes.map((process) => process.stop()));
  await pg.drop();
});

const noted = (text: string) => ({ type: 'Noted', data: { text } });
const topic = () => `${app}.${LOG}`;
const relayed = ({ db }: RelayingProcess): Promise<void> =>
  expect
    .poll(async () => [await cursors(db), await heads(db)], { timeout: 15_000 })
    .toSatisfy(
      ([at, head]: Map<number, number>[]) =>
        JSON.stringify([...(at ?? [])]) === JSON.stringify([...(head ?? [])]),
    )
    .then();

async function appendMany({ store }: RelayingProcess, streams: number, each = 1): Promise<void> {
  const writes = Array.from({ length: streams }, (_, n) =>
    append(
      store,
      LOG,
      `a-${n}`,
      Array.from({ length: each }, (__, i) => noted(`${n}/${i}`)),
    ),
  );
  await Promise.all(writes);
}

describeKafka('the relay', () => {
  it('sends every event once, in order, to the partition of its shard', async () => {
    const one = await start({ limits: { maxBytes: 900_000, maxEntries: 7 } });
    await appendMany(one, 40, 3);
    await relayed(one);
    await appendMany(one, 40);
    await relayed(one);
    expect(await seqsInKafka(topic())).toEqual(allSeqs(await heads(one.db)));
    expect(one.counts).toMatchObject({ sent: 160, again: 0, fenced: 0, failed: [] });
    const [first] = await kafka.readAll(topic());
    expect(first?.headers).toMatchObject({
      ce_source: `/${app}/${LOG}`,
      ce_type: `${LOG}.Noted`,
      ce_seq: '1',
    });
    expect(JSON.parse(first?.value ?? '')).toEqual({ text: expect.any(String) });
  });
});
