/** Which of some names was most likely meant by one that is none of them. */

/** Characters to add, take away or change (Levenshtein), by one row of the table at a time. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (const [i, one] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries()) {
      const changed = (row[j] ?? 0) + (one === other ? 0 : 1);
      next.push(Math.min(changed, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** More than this, and it is another word. */
const MAX_DISTANCE = 3;

/** @returns undefined where none is like it */
export function nearestOf(name: string, names: readonly string[]): string | undefined {
  // So long that it is none of them, however it is read; and the work is the product of both lengths.
  if (name.length > 100) return undefined;
  let [nearest, least]: [string | undefined, number] = [undefined, MAX_DISTANCE + 1];
  for (const other of names) {
    const far = distance(name, other);
    if (far < least) [nearest, least] = [other, far];
  }
  return nearest;
}
