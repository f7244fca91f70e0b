/** Folds a stream out of the event store, page by page. */
import type { AnyAggregate } from '../domain/aggregate.js';
import type { StoredEvent } from '../domain/events.js';
import type { EventStore } from '../event-store/types.js';
import { TidemarkError } from '../platform/errors.js';
import { fromStore } from './failures.js';

/** Events of up to 512 KiB each: a page stays below 128 MiB at the very worst, and below 100 KiB as a rule. */
const PAGE_EVENTS = 256;

/** A state, the version it was folded up to, and how many events that took. */
export interface Folded {
  readonly state: unknown;
  readonly version: number;
  readonly folded: number;
}

/** The state before the first event; frozen by the definition, as all streams share it. */
export const emptyState = (aggregate: AnyAggregate): Folded => ({
  state: aggregate.initial,
  version: 0,
  folded: 0,
});

/** Versions of a stream have no hole; a state folded over one would be wrong without a sign. */
const hole = (aggregate: AnyAggregate, event: StoredEvent, expected: number): TidemarkError =>
  new TidemarkError(
    'event_unreadable',
    `stream ${JSON.stringify(event.streamId)} of ${aggregate.name} goes on with version ${event.version} where ${expected} comes`,
  );

/** @throws TidemarkError `event_unreadable` on a hole; DomainError as `readData`; whatever `evolve` throws */
export function foldPage(aggregate: AnyAggregate, from: Folded, page: readonly StoredEvent[]): Folded {
  let { state, version } = from;
  for (const event of page) {
    if (event.version !== version + 1) throw hole(aggregate, event, version + 1);
    state = aggregate.evolveStored(state, event);
    version = event.version;
  }
  return { state, version, folded: from.folded + page.length };
}

/**
 * Folds on from a state to the stream’s end, or to the last event that `until` lets in.
 * @param options.until the first event that it refuses is not folded, nor any after it
 * @returns the state, and whether the stream’s end was reached
 */
export async function foldStream(
  store: EventStore,
  aggregate: AnyAggregate,
  streamId: string,
  from: Folded,
  options: { readonly until?: (event: StoredEvent) => boolean } = {},
): Promise<Folded & { readonly atEnd: boolean }> {
  const limit = PAGE_EVENTS;
  let now = from;
  for (;;) {
    const page = await fromStore(
      store.readStream({
        category: aggregate.name,
        streamId,
        from: now.version + 1,
        limit,
      }),
    );
    const { until } = options;
    const stop = until ? page.findIndex((event) => !until(event)) : -1;
    now = foldPage(aggregate, now, stop < 0 ? page : page.slice(0, stop));
    if (stop >= 0) return { ...now, atEnd: false };
    if (page.length < limit) return { ...now, atEnd: true };
  }
}
