/** Options of the event store: one schema with defaults and units. */
import { z } from 'zod';

const MIB = 1024 * 1024;
const DAY_MS = 24 * 60 * 60 * 1000;

export const EventStoreOptions = z
  .strictObject({
    lanes: z
      .int()
      .min(1)
      .max(64)
      .default(1)
      .describe(
        'Append calls in flight at the most, each for shards of its own. One is best up to about 64 writers, two at 256.',
      ),
    maxBatch: z.int().min(1).max(4096).default(512).describe('Requests in one group commit at the most.'),
    maxBatchBytes: z
      .int()
      .min(1)
      .default(4 * MIB)
      .describe('Bytes of events after which a group commit takes no further request.'),
    maxQueue: z
      .int()
      .min(1)
      .default(10_000)
      .describe('Requests that wait in one lane; more are answered `overloaded`.'),
    maxQueueBytes: z
      .int()
      .min(1)
      .default(64 * MIB)
      .describe('Bytes of events that wait in one lane; more are answered `overloaded`.'),
    appendTimeoutMs: z
      .int()
      .min(1)
      .default(15_000)
      .describe(
        'How long a request may wait or be tried again, in ms, before it is given up as not written.',
      ),
    callTimeoutMs: z
      .int()
      .min(1)
      .default(35_000)
      .describe(
        'After this many ms without an answer a connection counts as lost; longer than the statement timeout.',
      ),
    outcomeTimeoutMs: z
      .int()
      .min(1)
      .default(10_000)
      .describe('How long the outcome of an append on a lost connection is looked for, in ms.'),
    keepKeysMs: z
      .int()
      .min(1)
      .default(7 * DAY_MS)
      .describe('How long an idempotency key is kept at the least, in ms.'),
    purgeIntervalMs: z
      .int()
      .min(1)
      .default(10 * 60 * 1000)
      .describe('Pause between two passes that remove expired idempotency keys, in ms.'),
    purgePages: z
      .int()
      .min(1)
      .default(1024)
      .describe('Pages of 8 KiB that one statement of such a pass looks at.'),
  })
  .readonly();

export type EventStoreOptions = z.output<typeof EventStoreOptions>;
export type EventStoreOptionsInput = z.input<typeof EventStoreOptions>;
