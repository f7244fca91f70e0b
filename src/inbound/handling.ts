/**
 * One record from its bytes to its end: commands that ran one after the other, or a dead letter that all replicas have.
 * It ends with neither only when it is told to let go; then the record comes again, and its keys see to it that nothing
 * happens twice.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ForeignRecord, RecordGraveyard } from '../broker/ports.js';
import type { AnyConsumer, SentCommand } from '../domain/consume.js';
import { messageOf, TidemarkError } from '../platform/errors.js';
import type { Logger } from '../platform/logger.js';
import { backoff } from '../platform/pause.js';
import { codeOf, fateOf } from './fates.js';
import { keysOf, provenanceOf } from './identity.js';
import { positionOf, takeIn, type Taken } from './intake.js';
import { deathOf, lettersHeaders, type Death } from './letters.js';
import type { CommandPort, InboundCommand, InboundObserver } from './ports.js';

export interface HandlingDeps {
  readonly consumer: AnyConsumer;
  readonly bus: CommandPort;
  readonly graveyard: RecordGraveyard;
  readonly logger: Logger;
  readonly observer: InboundObserver;
}

const SHORTEST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 15_000;
/** Tries that failed before a log line, so that a blink of the database makes none; and again after so many. */
const QUIET_TRIES = 4;
const TRIES_A_LINE = 20;

/** Ends a record; its cause stands in `death`. */
class Dead extends Error {
  readonly death: Death;

  constructor(death: Death) {
    super(death.reason);
    this.death = death;
  }
}

export class Handling {
  readonly #deps: HandlingDeps;
  /** By partition, what is tried again just now. */
  readonly #held = new Map<number, string>();

  constructor(deps: HandlingDeps) {
    this.#deps = deps;
  }

  /** What partitions wait for, in a line each. */
  get held(): readonly string[] {
    return [...this.#held.values()];
  }

  /** @throws the signal’s reason when it was aborted before the record was at its end */
  async handle(record: ForeignRecord, signal: AbortSignal): Promise<void> {
    const { consumer, observer } = this.#deps;
    try {
      const outcome = await this.#translated(record, signal);
      observer.record?.(consumer.name, outcome);
    } catch (error) {
      if (!(error instanceof Dead)) throw error;
      await this.#bury(record, error.death, signal);
      observer.record?.(consumer.name, 'dead');
    } finally {
      this.#held.delete(record.partition);
    }
  }

  async #translated(foreign: ForeignRecord, signal: AbortSignal): Promise<'handled' | 'passed_over'> {
    const { consumer } = this.#deps;
    const { taken, commands } = this.#commandsOf(foreign);
    if (commands === undefined) return 'passed_over';
    const shared = { actor: `inbound:${consumer.name}`, signal, ...provenanceOf(foreign, taken) };
    const keys = keysOf(foreign, taken, commands);
    for (const [index, { aggregate, streamId, command, payload }] of commands.entries()) {
      const idempotencyKey = keys[index] ?? '';
      await this.#run(foreign, { ...shared, aggregate, streamId, command, payload, idempotencyKey });
    }
    return 'handled';
  }

  #commandsOf(foreign: ForeignRecord): {
    readonly taken: Taken;
    readonly commands: readonly SentCommand[] | undefined;
  } {
    try {
      const taken = takeIn(foreign);
      const intake = this.#deps.consumer.take(taken.record);
      if (intake.kind !== 'refused')
        return { taken, commands: intake.kind === 'commands' ? intake.commands : undefined };
      throw new TidemarkError('invalid_record', 'it does not fit the schema', { faults: intake.faults });
    } catch (error) {
      // Reading and translating see nothing but the record: it would fail the same way each time.
      throw new Dead(deathOf(error, 1));
    }
  }

  async #run(foreign: ForeignRecord, command: InboundCommand): Promise<void> {
    const { bus, consumer, logger, observer } = this.#deps;
    const { aggregate, command: name, signal } = command;
    let failures = 0;
    await this.#patiently(foreign, signal, async (attempt) => {
      try {
        await bus.execute(command);
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        const fate = fateOf(error);
        if (fate === 'perhaps') failures++;
        if (fate === 'never' || failures >= consumer.attempts)
          throw new Dead(deathOf(error, attempt, `${aggregate}.${name}`));
        if (fate !== 'done') throw error;
        observer.keyReused?.(consumer.name);
        logger.warn(
          { consumer: consumer.name, record: positionOf(foreign), command: `${aggregate}.${name}` },
          'a command ran under the id of this record before, with another payload; it is not run again',
        );
      }
    });
  }

  async #bury(record: ForeignRecord, death: Death, signal: AbortSignal): Promise<void> {
    const { consumer, graveyard, logger } = this.#deps;
    const { code, reason, attempts } = death;
    await this.#patiently(record, signal, () =>
      graveyard.bury(record, lettersHeaders(consumer.name, record, death)),
    );
    logger.warn(
      { consumer: consumer.name, record: positionOf(record), code, reason, attempts },
      'a record went to the dead letters',
    );
  }

  /** Again and again, with pauses that grow, until it passes, the record is dead, or it is to let go. */
  async #patiently(
    record: ForeignRecord,
    signal: AbortSignal,
    work: (attempt: number) => Promise<unknown>,
  ): Promise<void> {
    const { consumer, logger, observer } = this.#deps;
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      try {
        await work(attempt);
        return;
      } catch (error) {
        if (error instanceof Dead || signal.aborted) throw error;
        const code = codeOf(error);
        const at = positionOf(record);
        observer.retried?.(consumer.name, code);
        this.#held.set(record.partition, `${at} waits: ${code}`);
        if (attempt % TRIES_A_LINE === QUIET_TRIES)
          logger.warn(
            { consumer: consumer.name, record: at, attempt, code, reason: messageOf(error) },
            'a record waits, and its partition with it',
          );
        await sleep(backoff(attempt - 1, SHORTEST_PAUSE_MS, LONGEST_PAUSE_MS), undefined, { signal });
      }
    }
  }
}
