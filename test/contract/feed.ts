/** What every feed adapter must do, whatever carries the entries. */
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Feed, JoinRequest, Membership, Sequenced, ShardReader } from '../../src/broker/ports.js';

/** One log with three shards, and processes that follow it. */
export interface FeedWorld<E extends Sequenced> {
  readonly log: string;
  /** Appends so many entries to a shard. @param hint false: nobody is told */
  append(shard: number, count: number, options?: { readonly hint?: boolean }): Promise<void>;
  /** Takes away the entries up to a seq. */
  trim(shard: number, low: number): Promise<void>;
  /** A feed in a process of its own. */
  process(): Promise<FeedProcess<E>>;
  end(): Promise<void>;
}

export interface FeedProcess<E extends Sequenced> {
  readonly feed: Feed<E>;
  /** Ends as on an ordinary stop, after the memberships. */
  stop(): Promise<void>;
  /** Vanishes as on kill -9: what it held is not given back. Its handlers are not called any more. */
  vanish(): Promise<void>;
}

const SHARDS = 3;

/** What a member saw, shard by shard, and ways to wait for it. */
class Seen {
  readonly shards = new Map<number, number[]>();
  readonly events: string[] = [];
  readonly #waiting = new Set<() => void>();

  add(shard: number, seqs: readonly number[]): void {
    this.shards.set(shard, [...(this.shards.get(shard) ?? []), ...seqs]);
    this.note(`handle ${shard}`);
  }

  note(event: string): void {
    this.events.push(event);
    for (const wake of this.#waiting) wake();
  }

  /** Resolves once `condition` holds; looked at after everything that is noted. */
  async until(condition: () => boolean): Promise<void> {
    if (condition()) return;
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (!condition()) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
    });
  }

  has(shard: number, seq: number): Promise<void> {
    return this.until(() => this.shards.get(shard)?.at(-1) === seq);
  }
}

const upTo = (last: number, first = 1): number[] =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

type Reader<E extends Sequenced> = (shard: number) => Partial<ShardReader<E>> | undefined;

async function member<E extends Sequenced>(
  world: FeedWorld<E>,
  process: FeedProcess<E>,
  seen: Seen,
  options: Partial<JoinRequest<E>> = {},
  reader: Reader<E> = () => ({}),
): Promise<Membership> {
  const membership = await process.feed.join({
    log: world.log,
    shards: SHARDS,
    group: 'test',
    mode: 'every',
    maxBatch: 10,
    open: (shard) => {
      const own = reader(shard);
      seen.note(`open ${shard}`);
      return Promise.resolve(
        own && {
          after: 0,
          handle: (entries: readonly E[]) => {
            seen.add(
              shard,
              entries.map(({ seq }) => seq),
            );
            return Promise.resolve();
          },
          trimmed: (low: number) => seen.note(`trimmed ${shard} ${low}`),
          closed: () => seen.note(`closed ${shard}`),
          ...own,
        },
      );
    },
    ...options,
  });
  onTestFinished(async () => {
    await membership.stop();
    await process.stop();
  });
  return membership;
}

async function worldOf<E extends Sequenced>(make: () => Promise<FeedWorld<E>>): Promise<FeedWorld<E>> {
  const world = await make();
  onTestFinished(() => world.end());
  return world;
}

/** @param make a world of its own for each test; hooks run in reverse, so that processes end before it does */
export function feedContract<E extends Sequenced>(name: string, make: () => Promise<FeedWorld<E>>): void {
  describe(`${name}: order and positions`, () => {
    it('hands over every entry of every shard once and in order, in bounded batches', async () => {
      const world = await worldOf(make);
      await world.append(0, 35);
      const seen = new Seen();
      const sizes: number[] = [];
      await member(world, await world.process(), seen, {}, (shard) => ({
        handle: (entries) => {
          sizes.push(entries.length);
          seen.add(
            shard,
            entries.map(({ seq }) => seq),
          );
          return Promise.resolve();
        },
      }));
      await world.append(2, 3);
      await Promise.all([seen.has(0, 35), seen.has(2, 3)]);
      await world.append(0, 2);
      await world.append(1, 1);
      await Promise.all([seen.has(0, 37), seen.has(1, 1)]);
      expect(Object.fromEntries(seen.shards)).toEqual({ 0: upTo(37), 1: [1], 2: upTo(3) });
      expect(Math.max(...sizes)).toBeLessThanOrEqual(10);
    });

    it('goes on from the position that the reader gives', async () => {
      const world = await worldOf(make);
      await world.append(1, 20);
      const seen = new Seen();
      await member(world, await world.process(), seen, {}, () => ({ after: 15 }));
      await seen.has(1, 20);
      expect(seen.shards.get(1)).toEqual(upTo(20, 16));
    });

    it('calls a reader again only when it is done', async () => {
      const world = await worldOf(make);
      await world.append(0, 25);
      const seen = new Seen();
      let running = 0;
      let most = 0;
      await member(world, await world.process(), seen, {}, (shard) => ({
        handle: async (entries) => {
          most = Math.max(most, ++running);
          await new Promise(setImmediate);
          running--;
          seen.add(
            shard,
            entries.map(({ seq }) => seq),
          );
        },
      }));
      await world.append(0, 5);
      await seen.has(0, 30);
      expect(most).toBe(1);
      expect(seen.shards.get(0)).toEqual(upTo(30));
    });

    it('finds entries that nobody told of', async () => {
      const world = await worldOf(make);
      const seen = new Seen();
      await member(world, await world.process(), seen);
      await world.append(0, 1);
      await seen.has(0, 1);
      await world.append(0, 2, { hint: false });
      await seen.has(0, 3);
    });
  });

  describe(`${name}: readers that fail`, () => {
    it('closes a shard whose reader rejects, and opens it again at the position it then gives', async () => {
      const world = await worldOf(make);
      await world.append(0, 10);
      await world.append(1, 2);
      const seen = new Seen();
      let position = 0;
      let failing = true;
      await member(world, await world.process(), seen, { maxBatch: 4 }, (shard) =>
        shard === 0
          ? {
              after: position,
              handle: (entries) => {
                if (failing && position === 4) {
                  failing = false;
                  return Promise.reject(new TypeError('not today'));
                }
                position = entries.at(-1)?.seq ?? position;
                seen.add(
                  0,
                  entries.map(({ seq }) => seq),
                );
                return Promise.resolve();
              },
            }
          : {},
      );
      await Promise.all([seen.has(0, 10), seen.has(1, 2)]);
      expect(seen.shards.get(0)).toEqual(upTo(10));
      expect(seen.events.filter((event) => event.endsWith(' 0') && !event.startsWith('handle'))).toEqual([
        'open 0',
        'closed 0',
        'open 0',
      ]);
    });

    it('asks again when a shard is not wanted now, or cannot be opened', async () => {
      const world = await worldOf(make);
      await world.append(1, 3);
      const seen = new Seen();
      let asked = 0;
      await member(world, await world.process(), seen, {}, (shard) => {
        if (shard !== 1) return {};
        asked++;
        if (asked === 1) throw new Error('cannot be opened');
        return asked === 2 ? undefined : {};
      });
      await seen.has(1, 3);
      expect(seen.shards.get(1)).toEqual(upTo(3));
    });

    it('tells of trimmed entries, and waits to be opened again', async () => {
      const world = await worldOf(make);
      await world.append(0, 9);
      await world.trim(0, 6);
      const seen = new Seen();
      let after = 2;
      const membership = await member(world, await world.process(), seen, {}, () => ({ after }));
      await seen.until(() => seen.events.includes('trimmed 0 6') && seen.events.includes('closed 0'));
      await world.append(0, 1);
      await world.append(1, 4);
      await seen.has(1, 4);
      expect(seen.shards.get(0)).toBeUndefined();
      after = 6;
      membership.reopen(0);
      await seen.has(0, 10);
      expect(seen.shards.get(0)).toEqual(upTo(10, 7));
    });
  });

  describe(`${name}: members`, () => {
    it('stops when nothing runs any more, and hands over nothing after that', async () => {
      const world = await worldOf(make);
      await world.append(0, 30);
      const seen = new Seen();
      let release: () => void = () => undefined;
      const held = new Promise<void>((resolve) => (release = resolve));
      const process = await world.process();
      const membership = await member(world, process, seen, {}, (shard) => ({
        handle: async (entries) => {
          seen.note('began');
          await held;
          seen.add(
            shard,
            entries.map(({ seq }) => seq),
          );
        },
      }));
      await seen.until(() => seen.events.includes('began'));
      let stopped = false;
      const stopping = membership.stop().then(() => (stopped = true));
      await new Promise(setImmediate);
      expect(stopped).toBe(false);
      release();
      await stopping;
      expect(seen.shards.get(0)).toEqual(upTo(10));
      expect(seen.events.filter((event) => event.startsWith('closed'))).toHaveLength(SHARDS);
      await membership.stop();
    });

    it('lets the members of one process go each its way through the same log', async () => {
      const world = await worldOf(make);
      await world.append(0, 12);
      const process = await world.process();
      const [slow, quick, late] = [new Seen(), new Seen(), new Seen()];
      let release: () => void = () => undefined;
      const held = new Promise<void>((resolve) => (release = resolve));
      await member(world, process, slow, { group: 'slow' }, (shard) => ({
        handle: async (entries) => {
          await held;
          slow.add(
            shard,
            entries.map(({ seq }) => seq),
          );
        },
      }));
      await member(world, process, quick, { group: 'quick', mode: 'shared' });
      await quick.has(0, 12);
      for (let round = 0; round < 3; round++) await world.append(0, 10);
      await quick.has(0, 42);
      await member(world, process, late, { group: 'late' }, () => ({ after: 30 }));
      await late.has(0, 42);
      await world.append(0, 1);
      await Promise.all([quick.has(0, 43), late.has(0, 43)]);
      expect(slow.shards.get(0)).toBeUndefined();
      release();
      await slow.has(0, 43);
      expect(slow.shards.get(0)).toEqual(upTo(43));
      expect(quick.shards.get(0)).toEqual(upTo(43));
      expect(late.shards.get(0)).toEqual(upTo(43, 31));
    });

    it('opens a shard anew when it is asked to, at the position that its reader then gives', async () => {
      const world = await worldOf(make);
      await world.append(0, 5);
      const seen = new Seen();
      let after = 0;
      const membership = await member(world, await world.process(), seen, {}, () => ({ after }));
      await seen.has(0, 5);
      after = 3;
      membership.reopen(0);
      await seen.until(() => seen.events.filter((event) => event === 'open 0').length === 2);
      await world.append(0, 1);
      await seen.has(0, 6);
      expect(seen.shards.get(0)).toEqual([...upTo(5), 4, 5, 6]);
    });

    it('shares the shards among members, gives them over when one stops, and takes over when one vanishes', async () => {
      const world = await worldOf(make);
      const positions = new Map<number, number>();
      const owners = new Map<number, string>();
      const seen = new Seen();
      const join = async (who: string): Promise<[FeedProcess<E>, Membership]> => {
        const process = await world.process();
        const membership = await member(world, process, seen, { mode: 'shared' }, (shard) => {
          owners.set(shard, who);
          return {
            after: positions.get(shard) ?? 0,
            handle: (entries) => {
              positions.set(shard, entries.at(-1)?.seq ?? 0);
              seen.add(
                shard,
                entries.map(({ seq }) => seq),
              );
              return Promise.resolve();
            },
            closed: () => owners.get(shard) === who && owners.delete(shard),
          };
        });
        return [process, membership];
      };
      const count = (who: string): number => [...owners.values()].filter((owner) => owner === who).length;
      const settled = (condition: () => boolean): Promise<void> =>
        expect.poll(condition, { timeout: 60_000 }).toBe(true).then();
      const all = async (): Promise<void> => {
        const last = (positions.get(0) ?? 0) + 1;
        for (let shard = 0; shard < SHARDS; shard++) await world.append(shard, 1);
        await Promise.all([0, 1, 2].map((shard) => seen.has(shard, last)));
      };

      const [, first] = await join('one');
      await settled(() => count('one') === 3);
      await all();
      const [second] = await join('two');
      await settled(() => count('one') > 0 && count('two') > 0 && owners.size === 3);
      await all();
      await first.stop();
      await settled(() => count('two') === 3);
      await all();
      await join('three');
      await settled(() => count('two') > 0 && count('three') > 0 && owners.size === 3);
      await second.vanish();
      await settled(() => count('three') === 3);
      await all();
      for (let shard = 0; shard < SHARDS; shard++) expect(seen.shards.get(shard)).toEqual(upTo(4));
    });
  });
}
