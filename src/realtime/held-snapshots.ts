/**
 * Snapshots that clients are in the middle of. Who reads slowly keeps what he has not been sent yet; what all of them keep
 * together is bounded, however many there are and however different their snapshots. Those who wait for room share one
 * read when there is some. A snapshot that is no larger than what a socket may have unread anyway is not counted.
 */
import type { SnapshotPages } from './snapshots.js';

interface InUse {
  readonly snapshot: SnapshotPages;
  readonly users: Set<object>;
}

export class HeldSnapshots {
  readonly #maxBytes: number;
  readonly #freeBytes: number;
  /** By their pages, which all who have those of one read share. */
  readonly #inUse = new Map<readonly string[], InUse>();
  readonly #byUser = new Map<object, InUse>();
  #bytes = 0;
  #waiting: (() => void)[] = [];

  /** @param freeBytes so large a snapshot is not counted */
  constructor(maxBytes: number, freeBytes: number) {
    this.#maxBytes = maxBytes;
    this.#freeBytes = freeBytes;
  }

  /** Of all that are counted. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Until `release`, `user` has these pages and no others.
   * @returns false: there is no room for them now; `released` tells when to ask again. Where nobody has any there is, however large.
   */
  hold(user: object, snapshot: SnapshotPages): boolean {
    this.release(user);
    if (snapshot.bytes <= this.#freeBytes) return true;
    let inUse = this.#inUse.get(snapshot.pages);
    if (!inUse) {
      if (this.#bytes > 0 && this.#bytes + snapshot.bytes > this.#maxBytes) return false;
      inUse = { snapshot, users: new Set() };
      this.#inUse.set(snapshot.pages, inUse);
      this.#bytes += snapshot.bytes;
    }
    inUse.users.add(user);
    this.#byUser.set(user, inUse);
    return true;
  }

  release(user: object): void {
    const inUse = this.#byUser.get(user);
    if (!inUse) return;
    this.#byUser.delete(user);
    inUse.users.delete(user);
    if (inUse.users.size > 0) return;
    this.#inUse.delete(inUse.snapshot.pages);
    this.#bytes -= inUse.snapshot.bytes;
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Resolves once something is released, or at once where nothing is held. */
  released(): Promise<void> {
    if (this.#bytes === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
