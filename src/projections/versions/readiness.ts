/**
 * Whether this process may serve its version of a projection: it is loaded, and was as far, in every shard, as the furthest
 * other version a moment ago. Where it was never served and there is no other that was, as far as its events.
 *
 * What it must reach is taken anew at each look, and it is enough to have reached what was taken a moment ago: under a load
 * that never ends, whoever follows at the same speed gets there. Once there, it stays so until the version is built anew.
 */
import type { AnyReadModel } from '../../domain/tables.js';
import type { VersionFacts } from '../types.js';
import type { Point, Sight } from './look.js';

/** What was to be reached so long ago still counts; milliseconds. */
const MOMENT_MS = 3_000;

/** `<source>/<shard>` → seq. */
type Positions = ReadonlyMap<string, number>;

/** What was to be reached since a change log began to be looked at. */
interface Looked {
  readonly epoch: string;
  /** When it was first looked at. */
  readonly since: number;
  readonly targets: { readonly at: number; readonly target: Positions }[];
}

const nothing: Looked = { epoch: '', since: 0, targets: [] };

const idOf = (source: string, shard: number): string => `${source}/${shard}`;
const grouped = (n: number): string => n.toLocaleString('en-US');

export class Readiness {
  readonly #title: string;
  /** Epoch of the change log whose rows may be read. */
  #epoch: string | undefined;
  #why: string | undefined = 'it was not looked at yet';
  #wasServable = false;
  #looked: Looked = nothing;
  #wantsHeads = false;

  constructor({ name, version }: Pick<AnyReadModel, 'name' | 'version'>) {
    this.#title = `${name} v${version}`;
  }

  /** Epoch of the change log whose rows may be read; undefined while none may. */
  get epoch(): string | undefined {
    return this.#epoch;
  }

  /** Why it cannot be served, as a person reads it; undefined while it can. */
  get why(): string | undefined {
    return this.#why;
  }

  /** This process could serve it once: what happens to it since takes nobody else down. */
  get wasServable(): boolean {
    return this.#wasServable;
  }

  /** It could not be judged, as the heads were older than what is to be judged. */
  get wantsHeads(): boolean {
    return this.#wantsHeads;
  }

  /**
   * @param sight undefined: there is no such version
   * @param heads of the event logs, from before the look
   * @param at of a clock that never runs backwards, in ms
   * @param askedAt when the heads were asked for: where they count, they must be younger than the rows, or a version that
   *   was emptied a moment ago would be held against what there was before the events that it showed
   */
  judge(sight: Sight | undefined, heads: Positions, at: number, askedAt = at): void {
    this.#wantsHeads = false;
    const closed = sight ? this.#closed(sight) : `the tables of ${this.#title} are not there yet`;
    if (closed !== undefined || !sight) {
      this.#close(closed);
      this.#looked = nothing;
      return;
    }
    if (this.#epoch === sight.epoch) return;
    if (this.#looked.epoch !== sight.epoch) this.#looked = { epoch: sight.epoch, since: at, targets: [] };
    const { targets, since } = this.#looked;
    const { target, byHeads } = targetOf(sight, heads);
    if (byHeads && askedAt < since) {
      this.#wantsHeads = true;
      this.#close(this.#behind(sight, positions(sight.points), target));
      return;
    }
    // The one before always counts: looks may take long.
    while (targets.length > 1 && (targets[0]?.at ?? at) < at - MOMENT_MS) targets.shift();
    targets.push({ at, target });
    const own = positions(sight.points);
    if (targets.some((one) => missing(own, one.target).shards === 0)) {
      this.#epoch = sight.epoch;
      this.#why = undefined;
      this.#wasServable = true;
      this.#looked = nothing;
    } else this.#close(this.#behind(sight, own, target));
  }

  #close(why: string | undefined): void {
    this.#epoch = undefined;
    this.#why = why;
  }

  /** What no waiting for events mends. */
  #closed({ facts }: Sight): string | undefined {
    if (facts.state === 'retired') return `${this.#title} was pruned`;
    if (!facts.loaded) return `${this.#title} ${buildingText(facts)}`;
    if (!facts.ready && facts.parkedKeys > 0 && !facts.acceptParked) {
      const keys = facts.parkedKeys === 1 ? '1 key' : `${grouped(facts.parkedKeys)} keys`;
      return `${this.#title}: ${keys} parked: see \`tidemark parked list\`; replay, skip or accept them`;
    }
    return undefined;
  }

  #behind(sight: Sight, own: Positions, target: Positions): string {
    const { facts, others } = sight;
    const { events, shards } = missing(own, target);
    const served = facts.ready || others.some(({ ready }) => ready);
    const whom = served ? others.map(({ version }) => `v${version}`).join(' and ') : 'its events';
    const parts = [
      `${this.#title} is behind ${whom} by ${grouped(events)} ${events === 1 ? 'event' : 'events'} in ${shards} ${shards === 1 ? 'shard' : 'shards'}`,
    ];
    if (facts.state === 'paused') parts.push('it is paused');
    const [stop] = facts.stops;
    if (stop) parts.push(`${facts.stops.length} of its shards stand still: ${stop.reason}`);
    return parts.join('; ');
  }
}

/** `is being built: 12,000 of 50,000 events, 84,000/s, about 1 s left`, or what holds it up. */
function buildingText({ state, reason, progress }: VersionFacts): string {
  if (state === 'paused') return 'is not built yet, and paused';
  if (state === 'halted' || state === 'needs_newer_code')
    return `is not built yet, and ${state}${reason === undefined ? '' : `: ${reason}`}`;
  if (!progress) return 'is being built';
  const { events, total, perSecond, phase } = progress;
  const done = `is being built: ${grouped(events)} of ${grouped(total)} events`;
  if (phase === 'indexing') return `${done}; its indexes are being made`;
  if (perSecond <= 0) return done;
  return `${done}, ${grouped(Math.round(perSecond))}/s, about ${grouped(Math.ceil((total - events) / perSecond))} s left`;
}

const positions = (points: readonly Point[]): Map<string, number> =>
  new Map(points.map(([source, shard, seq]) => [idOf(source, shard), seq]));

/**
 * What the version must reach: in each of its shards the furthest of the other versions. Where it was never served, and none of
 * those that were follows the shard's log, they say nothing, and the events themselves count. A version that was served already
 * is not held up by shards that stand still: that is told, and takes nobody down.
 */
function targetOf(
  { facts, points, others }: Sight,
  heads: Positions,
): { readonly target: Positions; readonly byHeads: boolean } {
  const target = new Map<string, number>();
  let byHeads = false;
  const known = others.map((other) => ({ ready: other.ready, seqs: positions(other.points) }));
  const stopped = new Set(facts.ready ? facts.stops.map(({ source, shard }) => idOf(source, shard)) : []);
  for (const [source, shard] of points) {
    const id = idOf(source, shard);
    if (stopped.has(id)) continue;
    const served = facts.ready || known.some(({ ready, seqs }) => ready && seqs.has(id));
    const furthest = Math.max(0, ...known.map(({ seqs }) => seqs.get(id) ?? 0));
    target.set(id, served ? furthest : Math.max(furthest, heads.get(id) ?? 0));
    byHeads ||= !served;
  }
  return { target, byHeads };
}

function missing(own: Positions, target: Positions): { readonly events: number; readonly shards: number } {
  const gaps = [...target].map(([id, seq]) => seq - (own.get(id) ?? 0)).filter((gap) => gap > 0);
  return { events: gaps.reduce((sum, gap) => sum + gap, 0), shards: gaps.length };
}
