/** Events at random, to streams of every aggregate of the torn application, for as long as a test wants. */
import type { PostgresEventStore } from '../../../src/event-store/store.js';
import { append } from '../projecting.js';
import { TheatreSeason } from '../theatre.js';
import { BAD_CENTS } from './app.js';

/** `eve` is the one whose row of `folk` may be parked. */
const OWNERS = ['eve', 'ann', 'bob', ...Array.from({ length: 22 }, (_, n) => `owner-${n}`)];
const ACCOUNTS = 40;

export interface SeasonOptions {
  /** A payment in so many cannot be folded; none unless told otherwise. */
  readonly badOneIn?: number;
  /** An append failed; by default that ends the season. What is in the log is what counts, so that nothing need be done. */
  readonly failed?: (error: unknown) => void;
}

export class Season {
  readonly #store: PostgresEventStore;
  readonly #below: (below: number) => number;
  readonly #options: SeasonOptions;
  readonly #theatre: TheatreSeason;

  /** @param below a random whole number from 0 to below its argument */
  constructor(store: PostgresEventStore, below: (below: number) => number, options: SeasonOptions = {}) {
    this.#store = store;
    this.#below = below;
    this.#options = options;
    this.#theatre = new TheatreSeason(store, below);
  }

  /** A few events to a few streams of each aggregate. */
  async act(): Promise<void> {
    const ids = new Set(Array.from({ length: 4 }, () => `a-${this.#below(ACCOUNTS)}`));
    const accounts = [...ids].map((id) => append(this.#store, 'account', id, this.#events()));
    const outcomes = await Promise.allSettled([...accounts, this.#theatre.act()]);
    for (const outcome of outcomes) {
      if (outcome.status === 'fulfilled') continue;
      if (!this.#options.failed) throw outcome.reason;
      this.#options.failed(outcome.reason);
    }
  }

  #events() {
    return Array.from({ length: 1 + this.#below(3) }, () => this.#event());
  }

  #event() {
    const owner = OWNERS[this.#below(OWNERS.length)] ?? '';
    const bad = this.#options.badOneIn !== undefined && this.#below(this.#options.badOneIn) === 0;
    const cents = bad ? BAD_CENTS : 14 + this.#below(80);
    const from = this.#below(OWNERS.length);
    const all = [
      { type: 'Opened', data: { owner } },
      { type: 'Paid', data: { cents }, tags: { owner } },
      { type: 'Paid', data: { cents }, tags: { owner } },
      { type: 'Moved', data: { to: OWNERS.slice(from, from + 1 + this.#below(5)), cents } },
      { type: 'Noted', data: { text: owner } },
      { type: 'Closed', data: {} },
    ];
    return all[this.#below(all.length)] ?? { type: 'Ignored', data: {} };
  }
}
