/** Asks whether Postgres has what came from Kafka: entries of all shards that are to be asked for at the same time go together. */

interface Asked<E> {
  readonly entry: E;
  readonly resolve: (there: boolean) => void;
  readonly reject: (error: unknown) => void;
}

export class Proofs<E> {
  readonly #ask: (entries: readonly E[]) => Promise<readonly boolean[]>;
  #waiting: Asked<E>[] = [];
  #asking = false;

  /** @param ask answers for each entry */
  constructor(ask: (entries: readonly E[]) => Promise<readonly boolean[]>) {
    this.#ask = ask;
  }

  /** @throws as `ask` */
  has(entry: E): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ entry, resolve, reject });
      if (!this.#asking) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#asking = true;
    while (this.#waiting.length > 0) {
      const asked = this.#waiting;
      this.#waiting = [];
      try {
        const there = await this.#ask(asked.map(({ entry }) => entry));
        for (const [index, { resolve }] of asked.entries()) resolve(there[index] ?? false);
      } catch (error) {
        for (const { reject } of asked) reject(error);
      }
    }
    this.#asking = false;
  }
}
