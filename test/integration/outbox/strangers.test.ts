/** A relay whose topics others write into as well. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { describeKafka, uniqueName } from '../../support/kafka.js';
import { sendCompressed } from '../../support/kafka/compressed.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { append } from '../../support/projecting.js';
import { LOG, relayed, startRelaying, type RelayingProcess } from '../../support/relaying.js';

let pg: FreshDatabase;
let app = '';
let processes: RelayingProcess[] = [];

const start = async (): Promise<RelayingProcess> => {
  const process = await startRelaying(pg.url, app);
  processes.push(process);
  return process;
};
const topic = () => `${app}.${LOG}`;
const noted = (text: string) => ({ type: 'Noted', data: { text } });

async function appendMany({ store }: RelayingProcess, streams: number): Promise<void> {
  await Promise.all(
    Array.from({ length: streams }, (_, n) => append(store, LOG, `a-${n}`, [noted(String(n))])),
  );
}

beforeEach(async () => {
  pg = await freshDatabase();
  app = uniqueName('strangers');
  processes = [];
});
afterEach(async () => {
  await Promise.all(processes.map((process) => process.stop()));
  await pg.drop();
});

describeKafka('a relay whose partitions end with records of strangers', () => {
  it('goes on after one that it cannot even read, and so do all others', async () => {
    const one = await start();
    await appendMany(one, 40);
    await relayed(one);
    await one.stop();
    await sendCompressed(topic(), 0);
    const two = await start();
    await append(two.store, LOG, 'a-1', [noted('later')]);
    await appendMany(two, 40);
    await relayed(two);
    expect(two.counts.failed).toEqual([]);
    expect(two.counts).toMatchObject({ sent: 41, again: 0 });
    await two.stop();
  });
});
