/** Consumers of a test on a real Kafka and a real command bus, and an account that they write to. */
import { aggregate, command, consume, defineApp, type Consumer } from 'tidemark';
import { z } from 'zod';
import { createKafka } from '../../src/broker/kafka/client.js';
import { KafkaGraveyard } from '../../src/broker/kafka/inbound-graveyard.js';
import { KafkaRecordSource } from '../../src/broker/kafka/inbound-source.js';
import { Inbound } from '../../src/inbound/inbound.js';
import type { CommandPort, RecordOutcome } from '../../src/inbound/ports.js';
import { silentLogger, type Logger } from '../../src/platform/logger.js';
import { kafkaBrokers } from './kafka.js';

/** Takes deposits of more than nothing; refuses those of a frozen one. */
const Account = aggregate('account', {
  state: z.object({ frozen: z.boolean(), cents: z.int() }),
  initial: { frozen: false, cents: 0 },
  events: { Deposited: z.object({ cents: z.int(), note: z.string() }), Frozen: z.object({}) },
  commands: {
    deposit: z.object({ cents: z.int().min(1), note: z.string().default('') }),
    freeze: z.object({}),
    crash: z.object({}),
  },
})
  .evolve({
    Deposited: (state, { data }) => ({ ...state, cents: state.cents + data.cents }),
    Frozen: (state) => ({ ...state, frozen: true }),
  })
  .decide({
    deposit: (state, input, { emit, reject }) =>
      state.frozen ? reject('account_frozen') : emit('Deposited', input),
    freeze: (_state, _input, { emit }) => emit('Frozen', {}),
    crash: () => {
      throw new Error('out of order');
    },
  });

const Deposit = z.object({ account: z.string(), cents: z.int(), note: z.string().optional() });

/** A deposit for each record; what is noted as `crash` ends in an error of the handler, or of the aggregate. */
export const deposits = (
  topic: string,
  more: { note?: string; attempts?: number; name?: string } = {},
): Consumer =>
  consume(more.name ?? 'deposits', {
    topic,
    schema: Deposit,
    sends: [Account],
    ...(more.attempts === undefined ? {} : { attempts: more.attempts }),
  }).handle(({ data }) => {
    if (data.note === 'handler') throw new Error('the handler is out of order');
    if (data.note === 'crash') return command(Account, data.account, 'crash', {});
    return command(Account, data.account, 'deposit', {
      cents: data.cents,
      note: more.note ?? data.note ?? '',
    });
  });

export const bankOf = (name: string, consumers: readonly Consumer[], shards = 3) =>
  defineApp({ auth: 'none', name, aggregates: [Account], consumers, shards });

export interface RunningInbound {
  readonly inbound: Inbound;
  /** What became of records, in the order of their ends. */
  readonly outcomes: readonly RecordOutcome[];
  readonly retries: readonly string[];
  readonly reused: () => number;
  stop(): Promise<void>;
}

/** One process’s consumers. */
export async function startInbound(
  app: ReturnType<typeof bankOf>,
  bus: CommandPort,
  options: { readonly brokers?: readonly string[]; readonly logger?: Logger } = {},
): Promise<RunningInbound> {
  const { brokers = kafkaBrokers, logger = silentLogger } = options;
  const settings = { brokers, tls: false, sasl: undefined, replication: undefined, clientId: app.name };
  const kafka = createKafka(settings, logger);
  const graveyard = new KafkaGraveyard({ kafka, app: app.name, replication: undefined });
  const outcomes: RecordOutcome[] = [];
  const retries: string[] = [];
  let reused = 0;
  const inbound = new Inbound({
    app,
    source: new KafkaRecordSource({ kafka, logger }),
    graveyard,
    bus,
    logger,
    observer: {
      record: (_consumer, outcome) => outcomes.push(outcome),
      retried: (_consumer, code) => retries.push(code),
      keyReused: () => reused++,
    },
  });
  await inbound.start();
  return {
    inbound,
    outcomes,
    retries,
    reused: () => reused,
    async stop() {
      await inbound.stop();
      await graveyard.stop();
    },
  };
}
