/**
 * One command's turn: state, decision, append; again when the stream has moved on meanwhile.
 *
 * Whatever is decided on a cached state is only a guess until Postgres has confirmed that the stream is still there. So
 * every answer goes through one append call, also a refusal (with no events): it looks the idempotency key up, then
 * compares the version, under the lock, and therefore a repeat of a command that succeeded gets its stored answer before
 * anything that speaks against it.
 */
import type { AppendOutcome, AppendRequest, AppendedStream, EventStore } from '../event-store/types.js';
import { isTidemarkError, TidemarkError } from '../platform/errors.js';
import type { CachedState } from './aggregate-cache.js';
import type { Aggregates } from './aggregates.js';
import { decideOn, refusalOf, refuse, type DecidableCommand, type Verdict } from './deciding.js';
import { asFailure, preconditionFailed, refusedByStore, streamConflict } from './failures.js';
import type { NewStreamGuess } from './new-stream-guess.js';
import type { CommandObserver } from './observer.js';
import type { CommandOptions } from './options.js';

export interface TurnCommand extends DecidableCommand {
  readonly ifMatch: number | '*' | undefined;
  readonly ifNoneMatch: boolean;
  readonly idempotency:
    { readonly scope: string; readonly key: string; readonly requestHash: Buffer } | undefined;
}

export interface TurnDeps {
  readonly store: EventStore;
  readonly aggregates: Aggregates;
  readonly guess: NewStreamGuess;
  readonly options: CommandOptions;
  readonly observer: CommandObserver;
}

export interface TurnResult {
  readonly kind: 'appended' | 'unchanged' | 'duplicate';
  readonly stream: AppendedStream;
}

/** Attempts so far, also when the turn ends with an error. */
export interface TurnProgress {
  attempts: number;
}

/** Conflicts before attempts are spread out by chance; the first repeat goes at once. */
const CALM_CONFLICTS = 2;
const MAX_PAUSE_MS = 50;

/** @throws TidemarkError with the code that the caller gets */
export async function takeTurn(
  deps: TurnDeps,
  command: TurnCommand,
  progress: TurnProgress,
): Promise<TurnResult> {
  const contextOf = onceContext(deps, command);
  const { maxAttempts } = deps.options;
  let state = await begin(deps, command, progress, contextOf);
  for (;;) {
    if ('kind' in state) return state;
    progress.attempts++;
    const on: CachedState = state;
    const verdict = await decided(deps, command, on, contextOf);
    const outcome = await append(deps, command, on, verdict);
    if (outcome.kind !== 'conflict') return settle(deps, command, on, verdict, outcome);
    deps.observer.conflict?.(command.aggregate.name);
    // At which version it is, is told only to whom the stream is open: that is judged by its newest state.
    if (!command.permit && !preconditionHolds(command, outcome.actual)) {
      deps.aggregates.forget(command.aggregate, command.streamId);
      throw preconditionFailed(outcome.actual);
    }
    if (progress.attempts >= maxAttempts) throw streamConflict(maxAttempts);
    await pause(progress.attempts);
    state = await stateOrReplay(deps, command, () =>
      deps.aggregates.caughtUp(command.aggregate, command.streamId, on, outcome.actual),
    );
  }
}

/** The state to decide on; or the answer, where it takes none: a stream that is begun, a repeat. */
async function begin(
  deps: TurnDeps,
  command: TurnCommand,
  progress: TurnProgress,
  contextOf: () => Promise<unknown>,
): Promise<CachedState | TurnResult> {
  const { aggregates, guess } = deps;
  const { aggregate, streamId } = command;
  const cached = aggregates.cached(aggregate, streamId);
  if (cached) return cached;
  // The caller says that the stream is not there. If it is, the append tells at which version.
  if (command.ifNoneMatch) return aggregates.presumedNew(aggregate);
  if (preconditionHolds(command, 0) && guess.isNew(aggregate, command.command)) {
    const begun = await asNewStream(deps, command, contextOf);
    if (begun) {
      progress.attempts++;
      return begun;
    }
  }
  const state = await stateOrReplay(deps, command, () => aggregates.loaded(aggregate, streamId));
  if (!('kind' in state)) guess.learn(aggregate, command.command, state.version === 0);
  return state;
}

/** Decides on the empty state, unread. Anything but events that were written says that the stream must be read. */
async function asNewStream(
  deps: TurnDeps,
  command: TurnCommand,
  contextOf: () => Promise<unknown>,
): Promise<TurnResult | undefined> {
  const on = deps.aggregates.presumedNew(command.aggregate);
  const verdict = await decided(deps, command, on, contextOf);
  if (verdict.kind === 'refused' || verdict.events.length === 0) return undefined;
  const outcome = await append(deps, command, on, verdict);
  if (outcome.kind === 'conflict') return undefined;
  if (outcome.kind === 'appended') deps.guess.learn(command.aggregate, command.command, true);
  return settle(deps, command, on, verdict, outcome);
}

function preconditionHolds({ ifMatch, ifNoneMatch }: TurnCommand, version: number): boolean {
  if (ifNoneMatch) return version === 0;
  if (ifMatch === '*') return version > 0;
  return ifMatch === undefined || ifMatch === version;
}

async function decided(
  deps: TurnDeps,
  command: TurnCommand,
  on: CachedState,
  contextOf: () => Promise<unknown>,
): Promise<Verdict> {
  const refusal = refusalOf(command, on);
  if (refusal) return refuse(refusal);
  if (!preconditionHolds(command, on.version)) return refuse(preconditionFailed(on.version));
  let context: unknown;
  try {
    context = await contextOf();
  } catch (error) {
    return refuse(asFailure(error, `context of ${command.aggregate.name}.${command.command}`));
  }
  return decideOn(command, on, context, deps.options);
}

/** What the command needs beyond its stream: resolved once, also when it is decided several times. */
function onceContext(deps: TurnDeps, command: TurnCommand): () => Promise<unknown> {
  const { aggregate, streamId, input } = command;
  if (!aggregate.needsContext(command.command)) return async () => undefined;
  let resolved: Promise<unknown> | undefined;
  return () => {
    const resolving = (): Promise<unknown> => aggregate.resolveContext(command.command, { streamId, input });
    return (resolved ??= withTimeout(resolving, deps.options.contextTimeoutMs));
  };
}

/** A resolver that hangs must not hold its stream up for ever. */
async function withTimeout(work: () => Promise<unknown>, milliseconds: number): Promise<unknown> {
  const unavailable = (why: string, cause?: unknown): TidemarkError =>
    new TidemarkError('context_unavailable', `what the command needs ${why}`, { cause, retryAfter: 1 });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(unavailable(`did not come within ${milliseconds} ms`)), milliseconds);
  });
  try {
    return await Promise.race([work(), late]);
  } catch (error) {
    throw isTidemarkError(error) ? error : unavailable('could not be fetched', error);
  } finally {
    clearTimeout(timer);
  }
}

/** The state to decide on; where it cannot be had, a repeat still gets its stored answer. */
async function stateOrReplay(
  deps: TurnDeps,
  command: TurnCommand,
  load: () => Promise<CachedState>,
): Promise<CachedState | TurnResult> {
  try {
    return await load();
  } catch (thrown) {
    deps.aggregates.forget(command.aggregate, command.streamId);
    const failure = asFailure(thrown, `state of ${command.aggregate.name}`);
    if (!command.idempotency || isUnavailability(failure)) throw failure;
    const { aggregate, streamId } = command;
    const lookUp = { category: aggregate.name, streamId, expected: 'any', events: [] } as const;
    const outcome = await appendOrThrow(deps, command, {
      streams: [lookUp],
      idempotency: { ...command.idempotency, record: false },
    });
    if (outcome.kind === 'duplicate') return { kind: 'duplicate', stream: only(outcome.streams) };
    if (outcome.kind === 'key_reused') throw keyReused();
    throw failure;
  }
}

const isUnavailability = (failure: TidemarkError): boolean =>
  ['database_unavailable', 'outcome_unknown', 'overloaded'].includes(failure.code);

async function append(
  deps: TurnDeps,
  command: TurnCommand,
  on: CachedState,
  verdict: Verdict,
): Promise<AppendOutcome> {
  const accepted = verdict.kind === 'accepted';
  const stream = {
    category: command.aggregate.name,
    streamId: command.streamId,
    expected: on.version,
    events: accepted ? verdict.events : [],
  };
  const { idempotency } = command;
  return appendOrThrow(deps, command, {
    streams: [stream],
    // A refusal is not stored: it may be otherwise next time.
    ...(idempotency ? { idempotency: { ...idempotency, record: accepted } } : {}),
  });
}

async function appendOrThrow(
  deps: TurnDeps,
  command: TurnCommand,
  request: AppendRequest,
): Promise<AppendOutcome> {
  try {
    return await deps.store.append(request);
  } catch (error) {
    if (isTidemarkError(error, 'append_refused')) throw refusedByStore(error);
    // What was written is not known; the next command reads the stream anew.
    if (isTidemarkError(error, 'outcome_unknown')) {
      deps.aggregates.forget(command.aggregate, command.streamId);
    }
    throw asFailure(error, 'append');
  }
}

function settle(
  deps: TurnDeps,
  command: TurnCommand,
  on: CachedState,
  verdict: Verdict,
  outcome: Exclude<AppendOutcome, { kind: 'conflict' }>,
): TurnResult {
  const { aggregate, streamId } = command;
  if (outcome.kind === 'key_reused') throw keyReused();
  const stream = only(outcome.streams);
  if (outcome.kind === 'duplicate') return { kind: 'duplicate', stream };
  if (verdict.kind === 'refused') {
    // Confirmed on a state that broke the domain's code: fold it anew next time, in case the state is to blame.
    if (verdict.error.code === 'internal_error') deps.aggregates.forget(aggregate, streamId);
    else deps.aggregates.keep(aggregate, streamId, on);
    throw verdict.error;
  }
  if (verdict.events.length === 0) {
    deps.aggregates.keep(aggregate, streamId, on);
    return { kind: 'unchanged', stream };
  }
  const { state, chars } = verdict;
  deps.aggregates.advance(aggregate, streamId, on, { state, version: stream.version, chars });
  return { kind: 'appended', stream };
}

function only(streams: readonly AppendedStream[]): AppendedStream {
  const [stream] = streams;
  if (!stream) throw new TidemarkError('internal_error', 'the event store answered for no stream');
  return stream;
}

const keyReused = (): TidemarkError =>
  new TidemarkError(
    'idempotency_key_reused',
    'this Idempotency-Key was used with another payload, stream or precondition',
  );

async function pause(conflicts: number): Promise<void> {
  if (conflicts < CALM_CONFLICTS) return;
  const milliseconds = Math.random() * Math.min(MAX_PAUSE_MS, 2 ** conflicts);
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
}
