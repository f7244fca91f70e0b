/**
 * Customers who order: commands over HTTP, each with an idempotency key and asked again until it is answered. What was
 * acknowledged is written down, to be held against what is there in the end.
 */
import { Bell } from '../../../src/platform/pause.js';
import { randomFrom } from '../../support/random.js';

const ANSWER_MS = 15_000;

export interface LoadOptions {
  /** At the same time. */
  readonly writers: number;
  readonly customers: number;
  /** Between two commands of a writer, so that there is something left of a small machine for the others. */
  readonly breathMs: number;
}
const USUAL: LoadOptions = { writers: 6, customers: 12, breathMs: 8 };

interface Answer {
  readonly version: number;
  readonly events: readonly { readonly type: string; readonly version: number; readonly eventId: string }[];
}

interface Step {
  readonly name: string;
  readonly body: object;
}

/** What happens to an order: its number and the seed decide. */
function stepsOf(id: string, customers: number, below: (below: number) => number): readonly Step[] {
  const lines = [{ sku: `sku-${below(50)}`, quantity: 1 + below(7), unitPriceCents: 100 + below(900) }];
  const all: Step[] = [{ name: 'place', body: { customerId: `c-${below(customers)}`, lines } }];
  const fate = below(10);
  if (fate > 2) all.push({ name: 'pay', body: { paymentId: `p-${id}` } });
  if (fate > 5) all.push({ name: 'ship', body: { carrier: 'dhl', trackingNumber: `t-${id}` } });
  else if (fate > 1) all.push({ name: 'cancel', body: { reason: 'changed my mind' } });
  if (fate > 7) all.push({ name: 'deliver', body: {} });
  return all;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export class Load {
  /** Event ids of each order by version − 1, as they were acknowledged. */
  readonly orders = new Map<string, string[]>();
  readonly faults: string[] = [];
  /** Events. */
  acknowledged = 0;
  readonly #base: () => string;
  readonly #seed: number;
  readonly #options: LoadOptions;
  readonly #bell = new Bell();
  #next = 0;
  #running: Promise<unknown> | undefined;
  #stopping = false;
  #givenUp = false;

  /** @param base where the API is, asked anew for each command; @param seed of what is ordered */
  constructor(base: () => string, seed: number, options: Partial<LoadOptions> = {}) {
    this.#base = base;
    this.#seed = seed;
    this.#options = { ...USUAL, ...options };
  }

  start(): void {
    this.#stopping = false;
    this.#running ??= Promise.all(Array.from({ length: this.#options.writers }, () => this.#writer()));
  }

  /** Resolves when every command that was begun is answered; one that is not within the time is a fault. */
  async stop(timeoutMs = 60_000): Promise<void> {
    this.#stopping = true;
    const late = setTimeout(() => (this.#givenUp = true), timeoutMs);
    await this.#running;
    clearTimeout(late);
    this.#running = undefined;
  }

  /** Resolves when so many more events are acknowledged. One waits at a time. @throws Error when that takes longer than the time */
  async more(events: number, timeoutMs = 180_000): Promise<void> {
    const target = this.acknowledged + events;
    const deadline = Date.now() + timeoutMs;
    while (this.acknowledged < target) {
      const left = deadline - Date.now();
      if (left <= 0 || this.faults.length > 0)
        throw new Error(
          `${target - this.acknowledged} of ${events} events are not acknowledged: ${this.faults.join('; ')}`,
        );
      await this.#bell.wait(left);
    }
  }

  /** What is acknowledged now; `forget` goes back to it, when the database went back to a copy that was made later. */
  mark(): () => void {
    const lengths = new Map([...this.orders].map(([id, events]) => [id, events.length]));
    return () => {
      for (const [id, events] of this.orders) {
        const length = lengths.get(id) ?? 0;
        this.acknowledged -= events.length - length;
        if (length === 0) this.orders.delete(id);
        else events.length = length;
      }
    };
  }

  async #writer(): Promise<void> {
    const { customers, breathMs } = this.#options;
    while (!this.#stopping) {
      const n = this.#next++;
      const id = `o-${n}`;
      for (const step of stepsOf(id, customers, randomFrom(this.#seed * 1_000_003 + n))) {
        await pause(breathMs);
        if (!(await this.#acknowledge(id, step))) break;
        if (this.#stopping) break;
      }
    }
  }

  /** @returns false when it was refused */
  async #acknowledge(id: string, { name, body }: Step): Promise<boolean> {
    for (;;) {
      const answer = await this.#send(id, name, body);
      if (answer?.status === 200) {
        const { events } = JSON.parse(answer.text) as Answer;
        this.#write(id, events);
        return true;
      }
      if (answer !== undefined && answer.status !== 503) {
        this.faults.push(`${name} ${id} was answered ${answer.status} ${answer.text}`);
        this.#bell.ring();
        return false;
      }
      if (this.#givenUp) {
        this.faults.push(`${name} ${id} is not answered`);
        return false;
      }
      await pause(20 + Math.random() * 80);
    }
  }

  async #send(
    id: string,
    name: string,
    body: object,
  ): Promise<{ readonly status: number; readonly text: string } | undefined> {
    try {
      const answer = await fetch(`${this.#base()}/commands/order/${id}/${name}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': `${name}-${id}` },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(ANSWER_MS),
      });
      return { status: answer.status, text: await answer.text() };
    } catch {
      return undefined; // Nobody is there, or it took too long: the same key goes again.
    }
  }

  #write(id: string, events: Answer['events']): void {
    const known = this.orders.get(id) ?? [];
    for (const { version, eventId } of events) known[version - 1] = eventId;
    this.orders.set(id, known);
    this.acknowledged += events.length;
    this.#bell.ring();
  }
}
