/**
 * Snapshots of states: a shortcut of the fold, never a source of truth. One that was folded by other code than the
 * running one, or that its schema refuses, is as if it were not there.
 */
import type { AnyAggregate } from '../domain/aggregate.js';
import { jsonSchemaOf } from '../domain/fields.js';
import type { EventStore, Snapshot } from '../event-store/types.js';
import { messageOf } from '../platform/errors.js';
import type { Logger } from '../platform/logger.js';
import { fromStore } from './failures.js';
import type { Folded } from './folding.js';
import type { CommandObserver } from './observer.js';
import { canonicalJson, sha256 } from './request-hash.js';

/** A state larger than this is folded each time rather than written. */
const MAX_SNAPSHOT_CHARS = 8 * 1024 * 1024;
/** Snapshots that wait to be written; one more is left out, as a later one will do. */
const MAX_WAITING = 64;

const fingerprints = new WeakMap<AnyAggregate, string>();

/**
 * Names what a state was folded with: schemas of state and events, the initial state, and the source text of what
 * folds. A helper that `evolve` calls does not show in its text; whoever changes only that changes the state’s schema,
 * or removes the snapshots.
 */
export function foldFingerprint(aggregate: AnyAggregate): string {
  const known = fingerprints.get(aggregate);
  if (known !== undefined) return known;
  const events = Object.entries(aggregate.events).map(([type, spec]) => [
    type,
    spec.version,
    jsonSchemaOf(type, spec.schema, 'output'),
    spec.upcasters.map(String),
  ]);
  const state = jsonSchemaOf(aggregate.name, aggregate.state, 'output');
  const parts = canonicalJson([state, aggregate.initial, events, aggregate.foldSource]);
  const fingerprint = sha256(parts).toString('base64url');
  fingerprints.set(aggregate, fingerprint);
  return fingerprint;
}

/** The newest snapshot that the running code can go on from. */
export async function loadSnapshot(
  store: EventStore,
  aggregate: AnyAggregate,
  streamId: string,
): Promise<Folded | undefined> {
  const found = await fromStore(store.loadSnapshot(aggregate.name, streamId, foldFingerprint(aggregate)));
  if (!found) return undefined;
  const state: unknown = JSON.parse(found.state);
  return aggregate.state.safeParse(state).success ? { state, version: found.version, folded: 0 } : undefined;
}

/** The state as text, or undefined where its schema would lose something of it: then the fold is the only truth. */
export function snapshotText(aggregate: AnyAggregate, state: unknown): string | undefined {
  const text = JSON.stringify(state);
  if (text === undefined || text.length > MAX_SNAPSHOT_CHARS) return undefined;
  const back: unknown = JSON.parse(text);
  const parsed = aggregate.state.safeParse(back);
  if (!parsed.success || canonicalJson(parsed.data) !== canonicalJson(back)) return undefined;
  return text;
}

interface Waiting {
  readonly aggregate: AnyAggregate;
  readonly streamId: string;
  readonly state: unknown;
  readonly version: number;
}

/** Writes snapshots one at a time, off the hot path. */
export class SnapshotWriter {
  readonly #store: EventStore;
  readonly #logger: Logger;
  readonly #observer: CommandObserver;
  readonly #waiting = new Map<string, Waiting>();
  #writing: Promise<void> | undefined;

  constructor(deps: {
    readonly store: EventStore;
    readonly logger: Logger;
    readonly observer: CommandObserver;
  }) {
    this.#store = deps.store;
    this.#logger = deps.logger;
    this.#observer = deps.observer;
  }

  /** Takes a snapshot to be written; a newer one of the same stream takes the place of one that still waits. */
  offer(key: string, waiting: Waiting): void {
    if (this.#waiting.size >= MAX_WAITING && !this.#waiting.has(key)) {
      this.#observer.snapshot?.(waiting.aggregate.name, 'skipped');
      return;
    }
    this.#waiting.set(key, waiting);
    this.#writing ??= this.#writeAll().finally(() => (this.#writing = undefined));
  }

  /** Resolves when all that was offered is written. */
  async flushed(): Promise<void> {
    while (this.#writing) await this.#writing;
  }

  async #writeAll(): Promise<void> {
    // The command that offered the snapshot is answered first.
    await new Promise((resolve) => setImmediate(resolve));
    for (let next = this.#take(); next; next = this.#take()) await this.#write(next);
  }

  #take(): Waiting | undefined {
    for (const [key, waiting] of this.#waiting) {
      this.#waiting.delete(key);
      return waiting;
    }
    return undefined;
  }

  async #write({ aggregate, streamId, state, version }: Waiting): Promise<void> {
    try {
      const text = snapshotText(aggregate, state);
      if (text === undefined) {
        this.#observer.snapshot?.(aggregate.name, 'skipped');
        this.#logger.debug({ aggregate: aggregate.name, streamId }, 'state does not fit a snapshot');
        return;
      }
      const snapshot: Snapshot = { version, state: text };
      await this.#store.saveSnapshot(aggregate.name, streamId, foldFingerprint(aggregate), snapshot);
      this.#observer.snapshot?.(aggregate.name, 'saved');
    } catch (error) {
      this.#observer.snapshot?.(aggregate.name, 'failed');
      this.#logger.warn(
        { aggregate: aggregate.name, streamId, version, why: messageOf(error) },
        'snapshot not written; the stream is folded from an earlier one',
      );
    }
  }
}
