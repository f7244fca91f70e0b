/** What a verification says, and the collector of its findings: total counts, and a bounded list of examples. */

export interface ColumnDifference {
  readonly column: string;
  /** JSON text, cut where it is long; undefined: the field is absent. */
  readonly expected: string | undefined;
  readonly actual: string | undefined;
}

export type Difference =
  /** The row is not a fold of its events. */
  | {
      readonly kind: 'wrong';
      readonly key: string;
      readonly revision: number;
      readonly columns: readonly ColumnDifference[];
    }
  /** Its events make a row, and there is none. */
  | { readonly kind: 'missing'; readonly key: string; readonly expected: string }
  /** There is a row, and its events make none. */
  | { readonly kind: 'extra'; readonly key: string; readonly revision: number; readonly actual: string }
  /** The row, or its revision, is not that of its last change in the change log. */
  | { readonly kind: 'change'; readonly key: string; readonly revision: number; readonly reason: string }
  /** Its events can no longer be folded by this code, though they once were. */
  | { readonly kind: 'unfoldable'; readonly key: string; readonly error: string };

export type DifferenceKind = Difference['kind'];

/** Keys of which something is to be told that is no fault. */
export interface Noted {
  readonly total: number;
  /** The first few. */
  readonly keys: readonly string[];
}

export interface Verification {
  readonly projection: string;
  readonly version: number;
  readonly mode: 'keys' | 'sample' | 'all';
  /** What the sample was drawn by; the same seed on the same data draws the same. */
  readonly seed: number | undefined;
  /** False: the time was over before all was compared. */
  readonly complete: boolean;
  /** Keys that have a row, or events that make one. */
  readonly compared: number;
  /** Events that were read for it. */
  readonly events: number;
  /** Differences of each kind; a key may have several. */
  readonly totals: Readonly<Record<DifferenceKind, number>>;
  readonly differences: number;
  /** The first few of them. */
  readonly listed: readonly Difference[];
  /** Keys that are parked, so that their rows are behind on purpose; compared with a fold of what is in. */
  readonly parked: Noted;
  /** Keys with events that an operator skipped; compared with a fold of the others. */
  readonly skipped: Noted;
  /** Rows whose last change is not in the change log any more (or was loaded by a build), so that only their values were compared. */
  readonly trimmed: number;
  readonly tookMs: number;
}

/** Characters of a value in a report. */
const MAX_TEXT = 300;
const NOTED = 20;

export const cut = (text: string): string =>
  text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}… (${text.length} characters)` : text;

class Notes {
  readonly #keys: string[] = [];
  #total = 0;

  add(key: string): void {
    this.#total++;
    if (this.#keys.length < NOTED) this.#keys.push(key);
  }

  get noted(): Noted {
    return { total: this.#total, keys: this.#keys };
  }
}

export class Findings {
  readonly parked = new Notes();
  readonly skipped = new Notes();
  compared = 0;
  events = 0;
  trimmed = 0;
  readonly #limit: number;
  readonly #listed: Difference[] = [];
  readonly #totals: Record<DifferenceKind, number> = {
    wrong: 0,
    missing: 0,
    extra: 0,
    change: 0,
    unfoldable: 0,
  };

  /** @param limit differences that are listed at the most */
  constructor(limit: number) {
    this.#limit = limit;
  }

  add(difference: Difference): void {
    this.#totals[difference.kind]++;
    if (this.#listed.length < this.#limit) this.#listed.push(difference);
  }

  /** More of a kind, which are counted and not listed. */
  unlisted(kind: DifferenceKind, count: number): void {
    this.#totals[kind] += count;
  }

  summary(): Pick<
    Verification,
    'compared' | 'events' | 'totals' | 'differences' | 'listed' | 'parked' | 'skipped' | 'trimmed'
  > {
    const totals = { ...this.#totals };
    return {
      compared: this.compared,
      events: this.events,
      totals,
      differences: Object.values(totals).reduce((sum, count) => sum + count, 0),
      listed: this.#listed,
      parked: this.parked.noted,
      skipped: this.skipped.noted,
      trimmed: this.trimmed,
    };
  }
}
