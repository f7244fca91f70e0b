/** Makes sure of the topics of logs before anything is sent to them, once, and again after they may have gone. */
import type { Publisher } from '../broker/ports.js';
import type { RelayedLog } from './types.js';

export class Topics {
  readonly #publisher: Pick<Publisher, 'ensure'>;
  readonly #shards: number;
  readonly #sure = new Map<string, Promise<void>>();

  constructor(publisher: Pick<Publisher, 'ensure'>, shards: number) {
    this.#publisher = publisher;
    this.#shards = shards;
  }

  /** Those who ask for logs that are being looked at share the look. @throws as `Publisher.ensure` */
  async ready(logs: readonly RelayedLog[]): Promise<void> {
    const unsure = logs.filter(({ log }) => !this.#sure.has(log));
    if (unsure.length > 0) {
      const looking = this.#publisher.ensure(unsure, this.#shards);
      for (const { log } of unsure) this.#sure.set(log, looking);
      looking.catch(() => {
        for (const { log } of unsure) if (this.#sure.get(log) === looking) this.#sure.delete(log);
      });
    }
    await Promise.all(logs.map(({ log }) => this.#sure.get(log)));
  }

  /** Something was wrong with the log’s topic: it is looked at again. */
  doubt({ log }: RelayedLog): void {
    this.#sure.delete(log);
  }
}
