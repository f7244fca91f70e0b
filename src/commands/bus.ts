/**
 * The command bus: the one way in which events come to be. Checks a command, queues it behind the others of its
 * stream, has it decided and appended, and answers with what was written and a token to read it by.
 */
import { newId } from '../platform/ids.js';
import type { z } from 'zod';
import type { AnyAggregate } from '../domain/aggregate.js';
import type { AnyApp } from '../domain/app.js';
import { parseInput } from '../domain/input.js';
import type { AppendedEvent, AppendedStream, EventStore } from '../event-store/types.js';
import { systemClock, type Clock } from '../platform/clock.js';
import type { CommandCall } from '../domain/rights.js';
import { TidemarkError } from '../platform/errors.js';
import { service, type Service } from '../platform/lifecycle.js';
import type { Logger } from '../platform/logger.js';
import type { Signer } from '../platform/signing.js';
import type { TokenPayload } from '../protocol/positions.js';
import type { Permit } from '../rights/guard.js';
import { AggregateCache, streamKey } from './aggregate-cache.js';
import { Aggregates } from './aggregates.js';
import { asFailure } from './failures.js';
import { aggregateOf, checkStreamId, commandOf } from './lookup.js';
import { commandOptions, type CommandOptions, type CommandSettings } from './options.js';
import { NewStreamGuess } from './new-stream-guess.js';
import type { CommandBusStats, CommandObserver, CommandOutcome } from './observer.js';
import { idempotencyScope, requestHash } from './request-hash.js';
import { SnapshotWriter } from './snapshots.js';
import { StreamQueues } from './stream-queues.js';
import { takeTurn, type TurnCommand, type TurnDeps, type TurnProgress, type TurnResult } from './turn.js';

export interface CommandRequest {
  readonly aggregate: string;
  readonly streamId: string;
  readonly command: string;
  /** JSON, unchecked. */
  readonly payload: unknown;
  /** Who asks; part of the idempotency scope and of the events’ metadata. */
  readonly actor: string;
  /** Asked in its turn, on the state that it is decided on, before all else; absent: the application itself asks. */
  readonly permit?: Permit<CommandCall> | undefined;
  readonly idempotencyKey?: string | undefined;
  /** The version that the stream must be at, or `*`: it must have an event. */
  readonly ifMatch?: number | '*' | undefined;
  /** The stream must have no event. */
  readonly ifNoneMatch?: boolean | undefined;
  /** The id of the conversation; the command’s own id unless given. */
  readonly correlationId?: string | undefined;
  /** The id of what caused the command; the command’s own id unless given. */
  readonly causationId?: string | undefined;
  /** W3C trace context, already checked. */
  readonly traceparent?: string | undefined;
  /** Bytes that the payload holds in memory; measured unless given. */
  readonly bytes?: number | undefined;
  /** Takes the command back while it waits; once it is its turn, it runs to its end. */
  readonly signal?: AbortSignal | undefined;
}

export interface CommandResult {
  readonly streamId: string;
  /** Version of the stream after the command. */
  readonly version: number;
  readonly events: readonly AppendedEvent[];
  /** Pass it as `after` to read what was written. */
  readonly token: string;
}

export interface CommandBusDeps {
  readonly app: AnyApp;
  readonly store: EventStore;
  readonly signer: Signer;
  readonly logger: Logger;
  readonly observer?: CommandObserver;
  readonly clock?: Clock;
  readonly options?: CommandSettings;
}

export class CommandBus implements Service {
  readonly name = 'commands';
  readonly #deps: CommandBusDeps;
  readonly #options: CommandOptions;
  readonly #clock: Clock;
  readonly #observer: CommandObserver;
  readonly #cache: AggregateCache;
  readonly #queues: StreamQueues;
  readonly #snapshots: SnapshotWriter;
  readonly #turn: TurnDeps;
  readonly #lifecycle: Service;
  #open = false;

  /** @throws ZodError when an option is out of its range */
  constructor(deps: CommandBusDeps) {
    this.#deps = deps;
    this.#options = commandOptions.parse(deps.options ?? {});
    this.#clock = deps.clock ?? systemClock;
    this.#observer = deps.observer ?? {};
    const { store, logger } = deps;
    const { cachedAggregates, cachedBytes, snapshotEvery } = this.#options;
    const observer = this.#observer;
    this.#cache = new AggregateCache({ count: cachedAggregates, bytes: cachedBytes });
    this.#queues = new StreamQueues(this.#options, this.#clock);
    this.#snapshots = new SnapshotWriter({ store, logger, observer });
    const aggregates = new Aggregates({
      store,
      cache: this.#cache,
      snapshots: this.#snapshots,
      snapshotEvery,
      observer,
    });
    this.#turn = { store, aggregates, guess: new NewStreamGuess(), options: this.#options, observer };
    this.#lifecycle = service(this.name, {
      start: async () => {
        this.#open = true;
      },
      stop: () => this.#drain(),
    });
  }

  /** From here on commands are taken. */
  start(): Promise<void> {
    return this.#lifecycle.start();
  }

  /** No more commands are taken; resolves when those that were are answered. */
  stop(): Promise<void> {
    this.#open = false;
    return this.#lifecycle.stop();
  }

  get stats(): CommandBusStats {
    const { count: cachedAggregates, bytes: cachedBytes } = this.#cache;
    return { ...this.#queues.depth, cachedAggregates, cachedBytes };
  }

  /**
   * Runs one command to its answer.
   * @throws TidemarkError `unknown_aggregate`, `unknown_command`, `invalid_stream_id`, `invalid_payload`, `forbidden`, `rule_failed`,
   *   `too_many_requests`, `overloaded`, `not_ready`, `precondition_failed`, `stream_conflict`, `idempotency_key_reused`,
   *   `event_too_large`, `needs_newer_code`, `event_unreadable`, `context_unavailable`, `outcome_unknown`,
   *   `database_unavailable`, `internal_error`, or the domain’s rejection (its code; `rejection` is set)
   */
  async execute(request: CommandRequest): Promise<CommandResult> {
    const aggregate = aggregateOf(this.#deps.app, request.aggregate);
    const schema = commandOf(aggregate, request.command);
    const progress: TurnProgress = { attempts: 0 };
    const admittedAt = this.#clock.monotonic();
    let waitedMs = 0;
    const report = (outcome: CommandOutcome, events: number, code?: string): void =>
      this.#observer.finished?.({
        aggregate: aggregate.name,
        command: request.command,
        outcome,
        ...(code === undefined ? {} : { code }),
        milliseconds: this.#clock.monotonic() - admittedAt,
        waitedMs,
        attempts: progress.attempts,
        events,
      });
    try {
      if (!this.#open) throw notReady();
      const command = checkedCommand(request, aggregate, schema);
      const turn = (waited: number): Promise<TurnResult> => {
        waitedMs = waited;
        return takeTurn(this.#turn, command, progress);
      };
      const key = streamKey(aggregate.name, request.streamId);
      const { kind, stream } = await this.#queues.run(key, bytesOf(request), turn, request.signal);
      report(kind, kind === 'appended' ? stream.events.length : 0);
      return this.#answer(stream);
    } catch (thrown) {
      if (request.signal?.aborted && thrown === request.signal.reason) {
        report('failed', 0, 'aborted');
        throw thrown;
      }
      const failure = asFailure(thrown, `${aggregate.name}.${request.command}`);
      report(failure.rejection === undefined ? 'failed' : 'rejected', 0, failure.code);
      throw failure;
    }
  }

  #answer({ category, streamId, version, shard, epoch, seq, events }: AppendedStream): CommandResult {
    const pos = seq > 0 ? [[shard, seq] as const] : [];
    const token: TokenPayload = { kind: 'token', logs: { [category]: { epoch, pos } } };
    return { streamId, version, events, token: this.#deps.signer.sign(token) };
  }

  async #drain(): Promise<void> {
    await this.#queues.drained();
    await this.#snapshots.flushed();
    this.#cache.clear();
  }
}

const notReady = (): TidemarkError =>
  new TidemarkError('not_ready', 'this process takes no commands now', { retryAfter: 1 });

const bytesOf = ({ bytes, payload }: CommandRequest): number =>
  bytes ?? 2 * (JSON.stringify(payload) ?? '').length;

function checkedCommand(request: CommandRequest, aggregate: AnyAggregate, schema: z.ZodType): TurnCommand {
  const { streamId, command, payload, actor, permit, ifMatch, idempotencyKey } = request;
  checkStreamId(streamId);
  const parsed = parseInput(schema, payload);
  if (!parsed.ok) {
    throw new TidemarkError('invalid_payload', `the payload does not fit ${aggregate.name}.${command}`, {
      faults: parsed.faults,
    });
  }
  const ifNoneMatch = request.ifNoneMatch ?? false;
  const id = newId();
  const hash = { streamId, payload, ifMatch, ifNoneMatch };
  return {
    aggregate,
    streamId,
    command,
    input: parsed.value,
    permit,
    metadata: {
      correlationId: request.correlationId ?? id,
      causationId: request.causationId ?? id,
      actor,
      ...(request.traceparent === undefined ? {} : { traceparent: request.traceparent }),
    },
    ifMatch,
    ifNoneMatch,
    idempotency:
      idempotencyKey === undefined
        ? undefined
        : {
            scope: idempotencyScope(actor, aggregate.name, command),
            key: idempotencyKey,
            requestHash: requestHash(hash),
          },
  };
}
