/** Folds an aggregate as the framework does, but with everything frozen, the clock gone and every state checked. */
import type { AnyAggregate } from '../domain/aggregate.js';
import type { EmittedEvent } from '../domain/decisions.js';
import type { StoredEvent, Tags } from '../domain/events.js';
import { deepFreeze } from '../domain/freeze.js';
import { parseInput, type InputFault } from '../domain/input.js';
import { asJson, fail } from './compare.js';
import { withoutClock } from './purity.js';

/** Where a stream stands after some events. */
export interface Stand {
  readonly state: unknown;
  readonly version: number;
}

/** An event of a test, before it is given a place in a stream. */
export interface Happening {
  readonly type: string;
  readonly data: unknown;
  /** Data of an older schema version, to be upcast; the newest unless told otherwise. */
  readonly schemaVersion?: number;
}

export const listed = (faults: readonly InputFault[]): string =>
  faults.map(({ path, message }) => `${path || '(root)'}: ${message}`).join('; ');

/** The event’s data in the version it is of, frozen; checked where it is the newest. */
function checkedData(aggregate: AnyAggregate, { type, data, schemaVersion }: Happening): unknown {
  const spec = aggregate.events[type];
  if (!spec)
    fail(
      `aggregate ${aggregate.name} has no event ${JSON.stringify(type)}; events are ${Object.keys(aggregate.events).join(', ')}`,
    );
  if (schemaVersion !== undefined && schemaVersion !== spec.version) return deepFreeze(asJson(data));
  const parsed = parseInput(spec.schema, data);
  if (!parsed.ok)
    fail(`event ${aggregate.name}.${type} does not fit its schema: ${listed(parsed.faults)}`, data);
  return deepFreeze(asJson(parsed.value));
}

export function initialStand(aggregate: AnyAggregate): Stand {
  return { state: aggregate.initial, version: 0 };
}

const NO_TIME = '1970-01-01T00:00:00.000Z';

/** A stored event as the store would hand it back; what only the store knows is filled in. */
export function asStored(
  aggregate: AnyAggregate,
  happening: Happening,
  place: {
    readonly streamId: string;
    readonly version: number;
    readonly seq?: number;
    readonly recordedAt?: string;
  },
): StoredEvent {
  const { streamId, version } = place;
  const seq = place.seq ?? version;
  return {
    eventId: `00000000-0000-7000-8000-${String(seq).padStart(12, '0')}`,
    category: aggregate.name,
    shard: 0,
    seq,
    streamId,
    version,
    type: happening.type,
    schemaVersion: happening.schemaVersion ?? aggregate.events[happening.type]?.version ?? 1,
    data: checkedData(aggregate, happening),
    tags: {},
    metadata: { correlationId: 'test', causationId: 'test', actor: 'test' },
    recordedAt: place.recordedAt ?? NO_TIME,
  };
}

/** @throws AssertionError when `evolve` gives what the state’s schema refuses, also fields that it does not know */
export function evolveChecked(aggregate: AnyAggregate, stand: Stand, stored: StoredEvent): Stand {
  const where = `${aggregate.name}.evolve of ${stored.type}`;
  const next = withoutClock(where, () => aggregate.evolveStored(deepFreeze(stand.state), stored));
  const parsed = parseInput(aggregate.state, next);
  if (!parsed.ok) fail(`${where} gave a state that its schema refuses: ${listed(parsed.faults)}`, next);
  // A snapshot is this state as JSON: going on from it must be going on from the same.
  return { state: deepFreeze(asJson(next)), version: stored.version };
}

export const tagsChecked = (aggregate: AnyAggregate, stand: Stand): Tags =>
  withoutClock(`${aggregate.name}.tags`, () => aggregate.tagsOf(stand.state));

/** Folds what a command decided; also shows that the events can be folded and tagged at all. */
export function evolveAll(
  aggregate: AnyAggregate,
  from: Stand,
  streamId: string,
  happenings: readonly (Happening | EmittedEvent)[],
): Stand {
  return happenings.reduce<Stand>((stand, happening) => {
    const stored = asStored(aggregate, happening, { streamId, version: stand.version + 1 });
    const next = evolveChecked(aggregate, stand, stored);
    tagsChecked(aggregate, next);
    return next;
  }, from);
}
