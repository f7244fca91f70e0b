/** Random interleavings of streams: the order within a stream stays, the order between streams does not. */

/** Numbers from 0 to 1 that a seed gives again. Source: mulberry32 by Tommy Ettinger (public domain). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One interleaving of the lists; each list keeps its order. */
export function interleave<T>(lists: readonly (readonly T[])[], random: () => number): T[] {
  const places = lists.map(() => 0);
  const total = lists.reduce((sum, list) => sum + list.length, 0);
  const merged: T[] = [];
  while (merged.length < total) {
    const open = lists.flatMap((list, index) => ((places[index] ?? 0) < list.length ? [index] : []));
    const chosen = open[Math.floor(random() * open.length)] ?? 0;
    merged.push(...(lists[chosen] ?? []).slice(places[chosen], (places[chosen] ?? 0) + 1));
    places[chosen] = (places[chosen] ?? 0) + 1;
  }
  return merged;
}
