/**
 * One member's way through one shard: opens it, reads pages after its position, checks that they follow without a hole,
 * hands them over, and rests until a hint says that there is more.
 */
import type { LogPage } from '../event-store/types.js';
import { backoff, Bell } from '../platform/pause.js';
import type { Sequenced, ShardReader } from './ports.js';
import { Turn, type Permits } from './permits.js';

/** After a failure; doubles up to the longest. */
const SHORTEST_PAUSE_MS = 25;
const LONGEST_PAUSE_MS = 5_000;
/** Entries of a page where no more than these are expected. */
const SHORT_PAGE = 16;
/** Pages in a row that a shard far behind reads before others who are behind get their turn. */
const PAGES_A_TURN = 4;

export interface ShardLoopOptions<E extends Sequenced> {
  readonly shard: number;
  readonly maxBatch: number;
  open(shard: number): Promise<ShardReader<E> | undefined>;
  read(shard: number, after: number, limit: number): Promise<LogPage<E>>;
  /** "Not now" was said; resolves when it is time to ask again, or at once where the loop is to be ended. */
  notNow(shard: number): Promise<void>;
  complain(what: string, details: Record<string, unknown>): void;
  /** A hole that was found has been filled. */
  gapHealed(): void;
  repeatsDropped(count: number): void;
  /** A reader was closed; `failed` when it rejected, so that what it was given may be of another time. */
  closed?(failed: boolean): void;
  /** Bounds how many shards that are far behind hold pages at once. */
  readonly permits: Permits;
}

type Ending = 'stop' | 'reopen' | 'trimmed';

export class ShardLoop<E extends Sequenced> {
  readonly #options: ShardLoopOptions<E>;
  readonly #bell = new Bell();
  readonly #done: Promise<void>;
  #stopping = false;
  #reopening = false;
  #abandon: (() => void) | undefined;
  /** The highest seq that anyone said is there. */
  #hinted = 0;
  /** There may be more than was hinted: until a page is empty. */
  #unsure = true;
  #doubts = 0;
  #failures = 0;
  /** The seq that was missing when a hole was found; until it is handed over. */
  #missing: number | undefined;
  #resting = false;
  /** What was handed over, while the shard is open; and what that was at the last look at the heads. */
  #position: number | undefined;
  #looked: number | undefined;

  constructor(options: ShardLoopOptions<E>) {
    this.#options = options;
    this.#done = this.#run();
  }

  hint(seq: number): void {
    if (seq === 0) this.#doubt();
    else if (seq <= this.#hinted) return;
    else this.#hinted = seq;
    this.#bell.ring();
  }

  /**
   * The shard's head, as a look found it that began after the one before. Where it does not reach what was handed over then,
   * Postgres was restored, or failed over and lost its tail: the reader says anew where it stands, else it would
   * rest until the log has grown past where it was.
   * @returns whether that is so
   */
  looked(head: number): boolean {
    const before = this.#looked;
    this.#looked = this.#position;
    if (before === undefined || head >= before) return false;
    this.#looked = undefined;
    this.reopen();
    return true;
  }

  /** All that was given to it is handled, and it knows of nothing more. */
  get resting(): boolean {
    return this.#resting;
  }

  /** Whoever delivers entries has found that this one did not come; counted as healed once it is handed over. */
  missed(seq: number): void {
    this.#missing ??= seq;
  }

  reopen(): void {
    this.#reopening = true;
    this.#bell.ring();
  }

  /** Resolves when nothing runs any more. May be called twice. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#abandon?.();
    this.#bell.ring();
    await this.#done;
  }

  #doubt(): void {
    this.#unsure = true;
    this.#doubts++;
  }

  /**
   * What a promise gives, or undefined as soon as the loop is to stop. Not a race with a promise that outlives it: that
   * would keep the outcome of every race, which are pages.
   */
  #unlessStopped<T>(promise: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      this.#abandon = () => resolve(undefined);
      if (this.#stopping) this.#abandon();
      promise.then(resolve, reject);
    });
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      try {
        this.#reopening = false;
        const opening = this.#options.open(this.#options.shard);
        const reader = await this.#unlessStopped(opening);
        if (this.#stopping) {
          void opening.then(
            (late) => late?.closed?.(),
            () => undefined,
          );
        } else if (!reader) {
          await this.#unlessStopped(this.#options.notNow(this.#options.shard));
        } else {
          this.#doubt();
          const ending = await this.#followed(reader);
          while (ending === 'trimmed' && !this.#reopening && !this.#stopping) await this.#bell.wait();
        }
      } catch (err) {
        const { shard } = this.#options;
        if (!this.#stopping) this.#options.complain('a shard is closed and opened again', { err, shard });
        await this.#pause();
      }
    }
  }

  async #pause(): Promise<void> {
    if (this.#stopping) return;
    const until = performance.now() + backoff(this.#failures++, SHORTEST_PAUSE_MS, LONGEST_PAUSE_MS);
    // A hint must not cut it short, or a busy log would be asked without a pause.
    for (
      let left = until - performance.now();
      left > 0 && !this.#stopping;
      left = until - performance.now()
    ) {
      await this.#bell.wait(left);
    }
  }

  async #followed(reader: ShardReader<E>): Promise<Ending> {
    let failed = true;
    this.#position = reader.after;
    this.#looked = undefined;
    try {
      const ending = await this.#follow(reader);
      failed = false;
      return ending;
    } finally {
      this.#position = undefined;
      reader.closed?.();
      this.#options.closed?.(failed);
    }
  }

  async #follow(reader: ShardReader<E>): Promise<Ending> {
    const { permits, maxBatch } = this.#options;
    const turn = new Turn(permits);
    let position = reader.after;
    let ahead: Promise<LogPage<E>> | undefined;
    try {
      for (let pages = 1; ;) {
        if (this.#stopping) return 'stop';
        if (this.#reopening) return 'reopen';
        if (ahead === undefined) {
          if (!this.#unsure && position >= this.#hinted) {
            turn.end();
            this.#resting = true;
            await this.#bell.wait();
            this.#resting = false;
            continue;
          }
          if (this.#unsure || this.#hinted - position > maxBatch / 4) await turn.take();
          ahead = this.#read(position);
        }
        const page = await this.#unlessStopped(ahead);
        ahead = undefined;
        if (!page) return 'stop';
        if (page.kind === 'trimmed') {
          reader.trimmed(page.low);
          return 'trimmed';
        }
        if (page.entries.length === 0) continue;
        const entries = await this.#following(page.entries, position);
        const last = entries.at(-1)?.seq ?? position;
        // The next page is fetched while this one is handled; not at the end of a turn, so that it holds no page then.
        if (
          turn.held &&
          (last < this.#hinted || page.entries.length >= maxBatch) &&
          pages++ % PAGES_A_TURN !== 0
        ) {
          ahead = this.#read(last);
          ahead.catch(() => undefined);
        }
        if (entries.length > 0) await reader.handle(entries);
        position = last;
        this.#position = position;
        this.#healed(position);
        this.#failures = 0;
      }
    } finally {
      turn.end();
    }
  }

  async #read(after: number): Promise<LogPage<E>> {
    const { shard, maxBatch, read } = this.#options;
    const [hinted, doubts] = [this.#hinted, this.#doubts];
    // Short pages are cheaper to read than long ones that turn out short.
    const few = !this.#unsure && hinted - after <= SHORT_PAGE;
    const page = await read(shard, after, few ? Math.min(SHORT_PAGE, maxBatch) : maxBatch);
    if (page.kind === 'entries' && page.entries.length === 0) {
      if (this.#doubts === doubts) this.#unsure = false;
      // Nothing there, whatever was hinted before the look: that was of another time (a restored database).
      if (this.#hinted === hinted) this.#hinted = Math.min(hinted, after);
    }
    return page;
  }

  #healed(position: number): void {
    if (this.#missing === undefined || position < this.#missing) return;
    this.#missing = undefined;
    this.#options.gapHealed();
  }

  /** The entries that follow `position` one by one; repeats are dropped, a hole ends the page. */
  async #following(entries: readonly E[], position: number): Promise<readonly E[]> {
    if (entries.every(({ seq }, index) => seq === position + 1 + index)) return entries;
    const kept: E[] = [];
    let repeats = 0;
    for (const entry of entries) {
      const expected = position + kept.length + 1;
      if (entry.seq > expected) {
        this.#options.complain('a hole in a log; it is read again', {
          shard: this.#options.shard,
          expected,
          found: entry.seq,
        });
        this.#missing ??= expected;
        break;
      }
      if (entry.seq === expected) kept.push(entry);
      else repeats++;
    }
    if (repeats > 0) this.#options.repeatsDropped(repeats);
    if (kept.length === 0) await this.#pause();
    return kept;
  }
}
