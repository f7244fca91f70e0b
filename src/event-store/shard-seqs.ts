/** A seq for each shard of some logs; asked for with every event, so that it makes no text to look one up. */

export class ShardSeqs {
  readonly #logs = new Map<string, number[]>();

  /** 0 where none was set. */
  get(category: string, shard: number): number {
    return this.#logs.get(category)?.[shard] ?? 0;
  }

  set(category: string, shard: number, seq: number): void {
    const known = this.#logs.get(category);
    if (known) known[shard] = seq;
    else {
      const made: number[] = [];
      made[shard] = seq;
      this.#logs.set(category, made);
    }
  }
}
