/** Events of the joins example, put into an event store at random: names, orders, gifts, seats that are changed. */
import type { PostgresEventStore } from '../../src/event-store/store.js';
import { append } from './projecting.js';

interface TheatreEvent {
  readonly type: string;
  readonly data: unknown;
}

/** More than there are streams of: some rows name a customer who was never registered. */
const CUSTOMERS = 8;

export class TheatreSeason {
  readonly #below: (below: number) => number;
  readonly #store: PostgresEventStore;
  readonly #begun = new Set<string>();

  /** @param below a random whole number from 0 to below its argument */
  constructor(store: PostgresEventStore, below: (below: number) => number) {
    this.#store = store;
    this.#below = below;
  }

  /** Appends one event to one stream of each kind. */
  async act(): Promise<void> {
    const [customer, order, booking] = [this.#below(6), this.#below(40), this.#below(12)];
    await Promise.all([
      append(this.#store, 'customer', `c-${customer}`, [this.#ofCustomer()]),
      append(this.#store, 'order', `o-${order}`, [this.#ofOrder(order)]),
      append(this.#store, 'booking', `b-${booking}`, [this.#ofBooking(booking)]),
    ]);
  }

  #first(stream: string): boolean {
    if (this.#begun.has(stream)) return false;
    this.#begun.add(stream);
    return true;
  }

  #chance(ofTen: number): boolean {
    return this.#below(10) < ofTen;
  }

  #customer(): string {
    return `c-${this.#below(CUSTOMERS)}`;
  }

  #ofCustomer(): TheatreEvent {
    if (this.#chance(2)) return { type: 'CustomerLeft', data: {} };
    const type = this.#chance(3) ? 'CustomerRegistered' : 'CustomerRenamed';
    return { type, data: { name: `name ${this.#below(1_000)}` } };
  }

  #ofOrder(n: number): TheatreEvent {
    const giftFor = this.#chance(3) ? null : this.#customer();
    const items = [{ sku: `s-${n % 9}`, quantity: 1 + (n % 3) }];
    if (this.#first(`o-${n}`)) {
      return { type: 'OrderPlaced', data: { customerId: this.#customer(), giftFor, items } };
    }
    return this.#chance(8)
      ? { type: 'GiftRedirected', data: { giftFor } }
      : { type: 'OrderCancelled', data: { items } };
  }

  #ofBooking(n: number): TheatreEvent {
    const seat = `seat-${this.#below(6)}`;
    if (this.#first(`b-${n}`) || this.#chance(2)) {
      return { type: 'SeatBooked', data: { customerId: this.#customer(), seat } };
    }
    return this.#chance(8) ? { type: 'SeatChanged', data: { seat } } : { type: 'BookingCancelled', data: {} };
  }
}
