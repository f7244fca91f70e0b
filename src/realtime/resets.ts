/**
 * When a log is broken, everyone who watches it begins anew. Their resets go out in jittered batches within a bounded time, so
 * that neither the sockets nor the snapshots that follow come all at once. Whoever waits for its turn has left its
 * topic: nothing is published to it until its reset went out.
 */
import { jittered } from '../platform/pause.js';
import type { Channel } from './channels.js';
import type { GatewaySettings } from './options.js';

/** Someone who waits for its turn. */
export interface Held {
  readonly channel: Channel;
  /** Its turn has come. @returns false when it needs none any more */
  release(): boolean;
}

/** Has `work` done in a later turn of the loop, after `ms`. */
export type Later = (ms: number, work: () => void) => void;

const later: Later = (ms, work) => {
  if (ms === 0) setImmediate(work);
  else setTimeout(work, ms).unref();
};

/** Whatever many wait, they are let go within so many batches. */
const BATCHES = 20;

export class Resets {
  readonly #settings: Pick<GatewaySettings, 'resetBatch' | 'resetSpreadMs'>;
  readonly #later: Later;
  /** By channel, so that those who want the same snapshot come together. */
  readonly #queue = new Map<Channel, Set<Held>>();
  #size = 0;
  /** How many may go in one batch, and how many went in the one that is under way. */
  #share = 0;
  #gone = 0;
  #soon = false;
  #ticking = false;

  constructor(
    settings: Pick<GatewaySettings, 'resetBatch' | 'resetSpreadMs'>,
    schedule: Later | undefined = later,
  ) {
    this.#settings = settings;
    this.#later = schedule;
    this.#share = settings.resetBatch;
  }

  /** Who waits for its turn. */
  get size(): number {
    return this.#size;
  }

  /** Releases `held` when its turn has come: in a later turn of the loop, or later when many come. Called once until then. */
  add(held: Held): void {
    const group = this.#queue.get(held.channel);
    if (group) group.add(held);
    else this.#queue.set(held.channel, new Set([held]));
    this.#size++;
    if (this.#soon || this.#gone >= this.#share) return;
    this.#soon = true;
    this.#later(0, () => this.#batch());
  }

  /** `held` waits no more. */
  forget(held: Held): void {
    const group = this.#queue.get(held.channel);
    if (!group?.delete(held)) return;
    this.#size--;
    if (group.size === 0) this.#queue.delete(held.channel);
  }

  #batch(): void {
    this.#soon = false;
    const { resetBatch, resetSpreadMs } = this.#settings;
    this.#share = Math.max(this.#share, resetBatch, Math.ceil(this.#size / BATCHES));
    for (const group of this.#queue.values()) {
      for (const held of group) {
        if (this.#gone >= this.#share) break;
        this.forget(held);
        if (held.release()) this.#gone++;
      }
      if (this.#gone >= this.#share) break;
    }
    if (this.#ticking || this.#gone === 0) return;
    this.#ticking = true;
    this.#later(Math.max(1, jittered(resetSpreadMs / BATCHES)), () => this.#tick());
  }

  #tick(): void {
    this.#ticking = false;
    this.#gone = 0;
    if (this.#size === 0) this.#share = this.#settings.resetBatch;
    else if (!this.#soon) this.#batch();
  }
}
