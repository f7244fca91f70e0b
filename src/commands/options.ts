/** Options of the command bus: defaults, units and what each one bounds, in one schema. */
import { z } from 'zod';

const count = (fallback: number, max: number) => z.int().min(1).max(max).default(fallback);
const MIB = 1024 * 1024;

export const commandOptions = z
  .strictObject({
    maxWaitingPerStream: count(256, 100_000).describe(
      'Commands that may wait for one stream; one more is `too_many_requests`.',
    ),
    maxInFlight: count(4_096, 1_000_000).describe(
      'Commands, waiting or running, that the process holds; one more is `overloaded`.',
    ),
    maxInFlightBytes: count(64 * MIB, Number.MAX_SAFE_INTEGER).describe(
      'Bytes of their payloads; more is `overloaded`.',
    ),
    maxWaitMs: count(10_000, 600_000).describe(
      'Milliseconds that a command waits for its turn; then it is `too_many_requests`, undecided.',
    ),
    maxAttempts: count(10, 1_000).describe(
      'Times that a command is decided before it is `stream_conflict`, as others keep writing to its stream.',
    ),
    contextTimeoutMs: count(5_000, 600_000).describe('Milliseconds that a `.context` resolver may take.'),
    cachedAggregates: count(10_000, 10_000_000).describe('States kept in memory.'),
    cachedBytes: count(64 * MIB, Number.MAX_SAFE_INTEGER).describe(
      'Bytes of the states kept in memory, estimated.',
    ),
    snapshotEvery: count(100, 1_000_000).describe('Events of a stream between two snapshots of its state.'),
    maxEventsPerCommand: count(1_000, 100_000).describe(
      'Events that one command may emit; more is `event_too_large`.',
    ),
    maxBytesPerCommand: count(4 * MIB, 64 * MIB).describe(
      'Bytes of all events of one command; more is `event_too_large`.',
    ),
  })
  .readonly();

export type CommandOptions = z.output<typeof commandOptions>;
/** Options as they are given: what is left out has its default. */
export type CommandSettings = z.input<typeof commandOptions>;
