/** What a consumer makes of a record: tested without a broker, its data frozen and the clock taken away. */
import type { AnyConsumer, ConsumedRecord, Intake, SentCommand } from '../domain/consume.js';
import { idFault } from '../domain/identifiers.js';
import { parseInput } from '../domain/input.js';
import { asJson, expectSame, fail } from './compare.js';
import { withoutClock } from './purity.js';
import { listed } from './rehearsal.js';

/** A record as a test writes it down: its data, and what the handler looks at beside it. */
export type TestRecord = { readonly data: unknown } & Partial<ConsumedRecord>;

export interface Consumed {
  /** Just these commands, in this order; `[]` for none. @throws AssertionError */
  toGive(commands: readonly SentCommand[]): void;
  /** Its type is none of those that the consumer takes. @throws AssertionError */
  toBePassedOver(): void;
  /** The schema refuses it, with a fault at each of these JSON Pointers. @throws AssertionError */
  toBeRefused(...paths: readonly string[]): void;
}

function told(intake: Intake): string {
  if (intake.kind === 'passed_over') return 'it was passed over';
  if (intake.kind === 'refused') return `it was refused: ${listed(intake.faults)}`;
  return `it gave ${intake.commands.map(({ aggregate, command }) => `${aggregate}.${command}`).join(', ') || 'no command'}`;
}

/** What would be refused when it is run is found here already. */
function checkCommand(consumer: AnyConsumer, sent: SentCommand): void {
  const where = `consumer ${consumer.name}: ${sent.aggregate}.${sent.command}`;
  const fault = idFault(sent.streamId);
  if (fault !== undefined) fail(`${where}: stream id ${JSON.stringify(sent.streamId)}: ${fault}`);
  const schema = consumer.sends.find(({ name }) => name === sent.aggregate)?.commands[sent.command];
  const parsed = schema && parseInput(schema, asJson(sent.payload));
  if (parsed && !parsed.ok) fail(`${where} would be refused: ${listed(parsed.faults)}`);
}

const plain = (commands: readonly SentCommand[]): unknown =>
  commands.map(({ aggregate, streamId, command, payload }) => ({ aggregate, streamId, command, payload }));

/**
 * Begins a test of a consumer: `consumed(Payments, { data }).toGive([command(Order, 'o-1', 'pay', {…})])`.
 * @throws AssertionError when a command would be refused; whatever the handler throws
 */
export function consumed(consumer: AnyConsumer, record: TestRecord): Consumed {
  const whole: ConsumedRecord = {
    id: 'record-1',
    key: null,
    headers: {},
    topic: consumer.topic,
    partition: 0,
    offset: 0,
    ...(consumer.types ? { type: consumer.types[0] } : {}),
    ...record,
    data: asJson(record.data),
  };
  const where = `consumer ${consumer.name}`;
  const intake = withoutClock(where, () => consumer.take(whole));
  if (intake.kind === 'commands') for (const sent of intake.commands) checkCommand(consumer, sent);
  return {
    toGive(commands) {
      if (intake.kind !== 'commands') fail(`${where}: expected commands, but ${told(intake)}`);
      expectSame(`${where}: other commands than expected`, plain(intake.commands), plain(commands));
    },
    toBePassedOver() {
      if (intake.kind !== 'passed_over')
        fail(`${where}: expected the record to be passed over, but ${told(intake)}`);
    },
    toBeRefused(...paths) {
      if (intake.kind !== 'refused') fail(`${where}: expected the record to be refused, but ${told(intake)}`);
      const found = intake.faults.map(({ path }) => path);
      const missing = paths.filter((path) => !found.includes(path));
      if (missing.length > 0)
        fail(`${where}: expected a fault at ${missing.join(', ')}, but ${told(intake)}`);
    },
  };
}
