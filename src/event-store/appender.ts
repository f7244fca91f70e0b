/**
 * Takes a batch to Postgres until every request in it has its answer: again after a lock conflict or an outage, in halves when
 * Postgres refuses its data, and by a look under the locks when the connection was lost before the answer.
 */
import { TidemarkError } from '../platform/errors.js';
import type { Clock } from '../platform/clock.js';
import type { Logger } from '../platform/logger.js';
import type { Database, Session } from '../platform/postgres/database.js';
import {
  isRefused,
  isRetryable,
  isTimeout,
  mayBePanic,
  sqlState,
  wasAnswered,
} from '../platform/postgres/sqlstate.js';
import type { Recent } from '../platform/recent.js';
import type { Announcer } from '../platform/wakeups.js';
import { announceAll, decodeCall, keepRecent, type AppendRow } from './answer.js';
import { encodeCall, refKey, type Call, type KnownHead } from './call.js';
import { resolveUnknown } from './outcome.js';
import { refused, type Pending } from './pending.js';
import { pause, within } from './patience.js';
import type { RawEvent } from './raw-reads.js';
import type { EventStoreStatements } from './statements.js';
import type { AppendOutcome } from './types.js';

export interface AppenderDeps {
  readonly database: Database;
  readonly statements: EventStoreStatements;
  readonly announcer: Announcer;
  readonly recent: Recent<RawEvent> | undefined;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly callTimeoutMs: number;
  readonly outcomeTimeoutMs: number;
}

type Fate =
  | { readonly kind: 'answered'; readonly outcomes: readonly (AppendOutcome | undefined)[] }
  /** Postgres refuses the data of at least one request. */
  | { readonly kind: 'refused'; readonly cause: unknown }
  /** Surely not written: a request repeats a key or meets another version, which a careful call tells apart. */
  | { readonly kind: 'careful' }
  /** Surely not written; the same may work in a moment. */
  | { readonly kind: 'again'; readonly code: 'overloaded' | 'database_unavailable'; readonly cause: unknown }
  /** Surely not written, and will not be. */
  | { readonly kind: 'failed'; readonly cause: unknown }
  /** The connection ended between question and answer. */
  | { readonly kind: 'lost'; readonly pid: number | undefined; readonly cause: unknown };

const hasConstraint = (error: unknown, name: string): boolean =>
  typeof error === 'object' && error !== null && 'constraint' in error && error.constraint === name;

/** Careful calls after one that had to be made again, so that many repeats or conflicts do not double every call. */
const CAREFUL_CALLS = 64;

/** What an error of an append means, where a statement was sent on a connection of backend `pid`. */
function fateOf(error: unknown, careful: boolean, pid: number | undefined): Fate {
  if (!wasAnswered(error)) return { kind: 'lost', pid, cause: error };
  const keyTaken = hasConstraint(error, 'idempotency_keys_pkey');
  const failedCheck = sqlState(error) === 'TM002' || hasConstraint(error, 'events_stream_key');
  if (!careful && (keyTaken || failedCheck)) return { kind: 'careful' };
  // Another process recorded the same key for another shard, after our look-up: next time the look-up finds it.
  if (isRetryable(error) || isTimeout(error) || keyTaken)
    return { kind: 'again', code: 'overloaded', cause: error };
  if (isRefused(error)) return { kind: 'refused', cause: error };
  // Out of disk, memory or connections; read-only after a failover.
  if (/^(53|25006)/.test(sqlState(error) ?? ''))
    return { kind: 'again', code: 'database_unavailable', cause: error };
  return { kind: 'failed', cause: error };
}

const byKey = ({ key: a = '' }: Pending, { key: b = '' }: Pending): number => (a < b ? -1 : a > b ? 1 : 0);

/** What is left to send, last first. */
function halves(part: readonly Pending[]): (readonly Pending[])[] {
  const half = (part.length + 1) >> 1;
  return [part.slice(half), part.slice(0, half)];
}

export class Appender {
  readonly #deps: AppenderDeps;
  /** How many of the next calls are careful ones. */
  #careful = 0;
  readonly #heads = new Map<string, number>();
  readonly #knownHead: KnownHead = ({ log, shard }) => this.#heads.get(refKey(log, shard)) ?? 0;

  constructor(deps: AppenderDeps) {
    this.#deps = deps;
  }

  /** Settles or fails every request of the batch; never rejects. */
  async settle(batch: readonly Pending[]): Promise<void> {
    // Keys are inserted in this order, so that two calls never wait for each other's keys in a circle.
    const parts: (readonly Pending[])[] = [this.#living(batch).toSorted(byKey)];
    let attempt = 0;
    for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
      if (part.length === 0) continue;
      const fate = await this.#send(part);
      if (fate.kind === 'again' || fate.kind === 'lost') await pause(attempt++);
      parts.push(...(await this.#meet(part, fate)));
    }
  }

  /** Gives up what waited too long in the queue. */
  #living(batch: readonly Pending[]): readonly Pending[] {
    const now = this.#deps.clock.monotonic();
    if (batch.every(({ deadline }) => deadline > now)) return batch;
    for (const pending of batch) {
      if (pending.deadline <= now)
        pending.fail(
          new TidemarkError('overloaded', 'the append waited too long in its queue', { retryAfter: 1 }),
        );
    }
    return batch.filter(({ deadline }) => deadline > now);
  }

  async #send(part: readonly Pending[]): Promise<Fate> {
    const { database, statements, callTimeoutMs } = this.#deps;
    let session: Session;
    try {
      session = await database.connect();
    } catch (cause) {
      return { kind: 'again', code: 'database_unavailable', cause };
    }
    const careful = this.#careful > 0;
    if (careful) this.#careful--;
    let call: Call;
    try {
      call = encodeCall(part, careful, this.#knownHead);
    } catch (cause) {
      session.release();
      return { kind: 'refused', cause };
    }
    const { text, name } = statements[call.statement];
    try {
      const [row] = await within(callTimeoutMs, session.query<AppendRow>(text, call.values, name));
      session.release();
      return this.#understand(part, call, row, session.pid);
    } catch (error) {
      const fate = (await this.#survived(session, error))
        ? fateOf(error, careful, session.pid)
        : ({ kind: 'lost', pid: session.pid, cause: error } as const);
      session.release(fate.kind === 'lost');
      return fate;
    }
  }

  /** Whether the backend outlived its error: one that did not may have written its commit before (a PANIC). */
  async #survived(session: Session, error: unknown): Promise<boolean> {
    if (!mayBePanic(error)) return true;
    const asked = within(this.#deps.callTimeoutMs, session.query(this.#deps.statements.alive.text));
    return asked.then(
      () => true,
      () => false,
    );
  }

  /** What was answered is written; an answer that makes no sense is looked up like one that never came. */
  #understand(
    part: readonly Pending[],
    call: Call,
    row: AppendRow | undefined,
    pid: number | undefined,
  ): Fate {
    try {
      if (row === undefined) throw new TypeError('an append answered no row');
      const { outcomes, heads } = decodeCall(part, call, row);
      call.shards.forEach(({ log, shard }, index) => this.#heads.set(refKey(log, shard), heads[index] ?? 0));
      return { kind: 'answered', outcomes };
    } catch (cause) {
      return { kind: 'lost', pid, cause };
    }
  }

  /** Does what a fate asks for; returns what has to be sent next, last first. */
  async #meet(part: readonly Pending[], fate: Fate): Promise<(readonly Pending[])[]> {
    const { logger } = this.#deps;
    switch (fate.kind) {
      case 'answered': {
        if (this.#deps.recent) keepRecent(this.#deps.recent, part, fate.outcomes);
        announceAll(
          this.#deps,
          fate.outcomes.filter((outcome) => outcome !== undefined),
        );
        fate.outcomes.forEach((outcome, index) => outcome && part[index]?.settle(outcome));
        return [part.filter((_, index) => fate.outcomes[index] === undefined)];
      }
      case 'refused': {
        if (part.length > 1) return halves(part);
        for (const pending of part)
          pending.fail(refused('Postgres refuses the data of this append', fate.cause));
        return [];
      }
      case 'careful':
        this.#careful = CAREFUL_CALLS;
        return [part];
      case 'again':
        return [this.#patient(part, fate)];
      case 'lost': {
        logger.warn({ err: fate.cause, requests: part.length }, 'connection lost during an append');
        const unwritten = await resolveUnknown(this.#deps, part, fate.pid);
        // In halves, and not for ever: it may be one of them that ends every connection it is sent on.
        const again = { kind: 'again', code: 'database_unavailable', cause: fate.cause } as const;
        return halves(this.#patient(unwritten, again));
      }
      case 'failed': {
        logger.error({ err: fate.cause, requests: part.length }, 'append failed');
        const error = new TidemarkError('internal_error', 'the append failed', { cause: fate.cause });
        for (const pending of part) pending.fail(error);
        return [];
      }
    }
  }

  /** Those that may still be tried again; the others learn that nothing was written. */
  #patient(part: readonly Pending[], fate: Extract<Fate, { kind: 'again' }>): readonly Pending[] {
    const now = this.#deps.clock.monotonic();
    const past = part.filter(({ deadline }) => deadline <= now);
    if (past.length === 0) return part;
    this.#deps.logger.warn(
      { err: fate.cause, requests: past.length },
      'appends given up, nothing was written',
    );
    for (const pending of past)
      pending.fail(
        new TidemarkError(fate.code, 'the append could not be made in time; nothing was written', {
          retryAfter: 1,
          cause: fate.cause,
        }),
      );
    return part.filter(({ deadline }) => deadline > now);
  }
}
