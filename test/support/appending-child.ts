/**
 * Random appends from a process of their own, for tests that kill it. Arguments: the database's URL, a seed, how many requests. Prints a JSON
 * line before each request (`sent`) and one after it (`got`); a request that was answered is a line that was written to the pipe.
 */
import { writeSync } from 'node:fs';
import { messageOf } from '../../src/platform/errors.js';
import type { AppendOutcome, ExpectedVersion, StreamAppend } from '../../src/event-store/types.js';
import { seeded } from '../../src/testing/interleavings.js';
import { account, claim, newEvent, openStore, order } from './event-store.js';

const [url = '', seed = '0', count = '0'] = process.argv.slice(2);
const WRITERS = 12;
const STREAMS = 10;
const BAD_DATA = '{';

export interface Sent {
  readonly t: 'sent';
  readonly n: number;
  /** Event ids by stream. */
  readonly streams: readonly {
    readonly category: string;
    readonly streamId: string;
    readonly expected: ExpectedVersion;
    readonly ids: readonly string[];
  }[];
  readonly key: string | undefined;
  /** It has data that Postgres refuses. */
  readonly bad: boolean;
}

export interface Got {
  readonly t: 'got';
  readonly n: number;
  readonly outcome: AppendOutcome | { readonly kind: 'failed'; readonly code: string };
}

const random = seeded(Number(seed));
const upTo = (limit: number): number => Math.floor(random() * limit);
const seen = new Map<string, number>();
const say = (line: Sent | Got): void => void writeSync(1, `${JSON.stringify(line)}\n`);

function randomStream(category: 'order' | 'account', id: number): StreamAppend {
  const streamId = `s-${id}`;
  const known = seen.get(`${category}/${streamId}`) ?? 0;
  const expected = random() < 0.6 ? known : random() < 0.3 ? 'exists' : 'any';
  const events = upTo(5);
  const stream =
    category === 'order' ? order(streamId, expected, events) : account(streamId, expected, events);
  // Now and then something that Postgres refuses, so that its batch is halved.
  return random() < 0.03 && events > 0 ? { ...stream, events: [newEvent({ data: BAD_DATA })] } : stream;
}

function randomStreams(): StreamAppend[] {
  const many = random() < 0.15 ? 2 + upTo(2) : 1;
  const first = upTo(STREAMS);
  return Array.from({ length: many }, (_, at) =>
    randomStream(random() < 0.7 ? 'order' : 'account', (first + at) % STREAMS),
  );
}

const open = await openStore(url, { shards: 4, options: { lanes: 1 + (Number(seed) % 3), maxBatch: 8 } });
let sent = 0;

async function write(): Promise<void> {
  while (sent < Number(count)) {
    const n = sent++;
    const streams = randomStreams();
    const key = random() < 0.4 ? `key-${upTo(Number(count) * 2)}` : undefined;
    say({
      t: 'sent',
      n,
      key,
      bad: streams.some(({ events }) => events.some(({ data }) => data === BAD_DATA)),
      streams: streams.map(({ category, streamId, expected, events }) => ({
        category,
        streamId,
        expected,
        ids: events.map(({ eventId }) => eventId),
      })),
    });
    const outcome: Got['outcome'] = await open.store
      .append({ streams, ...(key === undefined ? {} : { idempotency: claim(key, `${seed} ${n % 3}`) }) })
      .catch((error: unknown) => ({
        kind: 'failed',
        code: error instanceof Error && 'code' in error ? String(error.code) : messageOf(error),
      }));
    if (outcome.kind === 'appended')
      for (const { category, streamId, version } of outcome.streams)
        seen.set(`${category}/${streamId}`, version);
    if (outcome.kind === 'conflict') seen.set(`${outcome.category}/${outcome.streamId}`, outcome.actual);
    say({ t: 'got', n, outcome });
  }
}

await Promise.all(Array.from({ length: WRITERS }, write));
await open.close();
