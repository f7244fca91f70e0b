/** Commits how far partitions are done: the first record at once, those of the next moment together. */
import type { Consumer } from 'kafkajs';
import { Bell, jittered } from '../../platform/pause.js';

export interface InboundOffsetsOptions {
  readonly topic: string;
  /** Who may commit now, and by partition the offset after the last record that is done. */
  current(): { readonly consumer: Consumer; readonly done: ReadonlyMap<number, number> } | undefined;
}

/** Between two commits. */
const COMMIT_MS = 250;
/** After one that failed: the group shares out anew, or the broker is away. */
const AGAIN_MS = 1_000;

export class InboundOffsets {
  readonly #options: InboundOffsetsOptions;
  readonly #moved = new Bell();
  readonly #rest = new Bell();
  readonly #running: Promise<void>;
  #committed = new Map<number, number>();
  #of: Consumer | undefined;
  #stopping = false;

  constructor(options: InboundOffsetsOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** A partition was taken on: what was committed of it before says nothing any more. */
  forget(partition: number): void {
    this.#committed.delete(partition);
  }

  /** Some record is done. */
  moved(): void {
    this.#moved.ring();
  }

  /** Commits what is left, once. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#rest.ring();
    this.#moved.ring();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      await this.#moved.wait();
      const committed = await this.#commit();
      if (this.#stopping) return;
      // Nobody else rings for what is left.
      if (!committed) this.#moved.ring();
      await this.#rest.wait(committed ? COMMIT_MS : jittered(AGAIN_MS));
    }
  }

  /** @returns false when it is to be tried again */
  async #commit(): Promise<boolean> {
    const current = this.#options.current();
    if (!current) return true;
    const { consumer, done } = current;
    if (this.#of !== consumer) this.#committed = new Map();
    this.#of = consumer;
    const due = [...done].filter(([partition, offset]) => this.#committed.get(partition) !== offset);
    if (due.length === 0) return true;
    const { topic } = this.#options;
    try {
      await consumer.commitOffsets(
        due.map(([partition, offset]) => ({ topic, partition, offset: String(offset) })),
      );
    } catch {
      // What is not committed comes again, to us or to others, and does nothing twice.
      return false;
    }
    for (const [partition, offset] of due) this.#committed.set(partition, offset);
    return true;
  }
}
