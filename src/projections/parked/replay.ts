/**
 * Takes a key out of parking: folds the events that wait behind it, in their order, and writes the row, its change and
 * what leaves the queue in one transaction, page by page, until nothing waits at the moment of the last write. Works in
 * any process, while projectors run: what they fold in the meantime either waits behind the key (and is found by the next
 * page) or conflicts, and is folded again.
 *
 * A page is read and folded without locks and proven under them. A key whose queue grows all the while cannot hold it up for
 * ever: every page leaves the queue shorter by itself, and once more has come than there was at first, the rest is folded
 * under the lock on the key, for which its worker waits. Where rows are made of parts of other streams, every page is
 * folded under the locks of all checkpoints, as what it is made of could change otherwise.
 */
import { hasParts } from '../../domain/parts.js';
import type { AnyProjection } from '../../domain/projection.js';
import { messageOf, TidemarkError } from '../../platform/errors.js';
import type { Database } from '../../platform/postgres/database.js';
import { jittered } from '../../platform/pause.js';
import type { Announcer } from '../../platform/wakeups.js';
import { definitionOf, fingerprintOf } from '../definition.js';
import { changeLogOf } from '../names.js';
import { cellOf, type CellName } from '../parts/cells.js';
import {
  BatchTooLarge,
  isRowRefused,
  writeBatch,
  WriteConflict,
  type Fence,
  type Written,
  type Writer,
} from '../write.js';
import { readWaiting, type WaitingEvent, type WaitingPage } from './queue.js';
import { faultMessage } from './record.js';
import { releaseArgument, type Release } from './release.js';
import { refold, type Fault, type RefoldedPiece } from './refold.js';
import { lockCheckpoints, lockParked, selectVersionLog, shareVersion } from './statements.js';

export interface ReplayOptions {
  readonly db: Database;
  /** The definition as this process has it; it must be the one that the version’s table was made for. */
  readonly projection: AnyProjection;
  /** Told of the changes that were written, so that followers need not wait for their next look. */
  readonly announcer?: Announcer | undefined;
}

/** The event that still cannot be folded. */
export interface ReplayFault {
  /** `needs_newer_code`: it is newer than this code, which does not make it worse than it was. */
  readonly kind: 'poison' | 'needs_newer_code';
  readonly source: string;
  readonly shard: number;
  readonly seq: number;
  readonly streamId: string;
  readonly type: string;
  readonly error: string;
}

export interface ReplayOutcome {
  readonly part: string;
  readonly key: string;
  /** Events that are in now. */
  readonly events: number;
  /** Events that still wait; 0: the key is not parked any more. */
  readonly waiting: number;
  readonly fault?: ReplayFault;
}

/** Events of one page at the most. */
const PAGE = 500;
/** Conflicts in a row after which it is given up. */
const MAX_CONFLICTS = 20;

interface Log {
  readonly fence: Fence;
  readonly shards: number;
}

type Heads = Written['heads'][number][];

interface Queue {
  readonly queued: number;
  readonly first: WaitingEvent;
  readonly skipped: WaitingEvent | undefined;
  /** What is to be folded. */
  readonly waiting: readonly WaitingEvent[];
}

/** What one page came to. */
interface Round {
  readonly events: number;
  readonly waiting: number;
  readonly fault: Fault | undefined;
}

export class Replay {
  readonly #options: ReplayOptions;
  readonly #name: CellName;
  /** Why the first event is to be skipped; until it was. */
  #skip: string | undefined;
  /** Place in the queue of the event that is to be skipped, once it is known: no other one may be in its stead. */
  #skipped: number | undefined;
  #limit = PAGE;
  #events = 0;

  /** @param skip why the event at fault is to be left out; undefined: it is folded too */
  constructor(options: ReplayOptions, name: CellName, skip?: string) {
    this.#options = options;
    this.#name = name;
    this.#skip = skip;
  }

  /**
   * @throws TidemarkError `not_parked`; `wrong_state` when the version is paused, being built, retired, or not what this code
   *   defines, or when the event that is to be skipped was taken out, so that another one would be; as `Database.query`
   */
  async run(): Promise<ReplayOutcome> {
    let expected: number | undefined;
    let conflicts = 0;
    for (;;) {
      const log = await this.#log();
      const round = await this.#try(log, expected !== undefined && this.#events > expected).catch(
        async (error: unknown) => {
          conflicts = await this.#conflict(error, conflicts);
          return 'again' as const;
        },
      );
      if (round === 'again') continue;
      if (!round && expected === undefined) throw notParked(this.#options.projection, this.#name);
      if (!round) return { ...this.#name, events: this.#events, waiting: 0 };
      conflicts = 0;
      expected ??= round.events + round.waiting;
      this.#events += round.events;
      const { fault, waiting } = round;
      if (fault) return this.#stopped(fault, waiting);
      if (waiting === 0) return { ...this.#name, events: this.#events, waiting };
    }
  }

  #stopped({ at: { event }, kind, error }: Fault, waiting: number): ReplayOutcome {
    const { category: source, shard, seq, streamId, type } = event;
    const fault = { kind, source, shard, seq, streamId, type, error: faultMessage(error) };
    return { ...this.#name, events: this.#events, waiting, fault };
  }

  /** A page; fewer events in it where they were too many, or where Postgres refused what one of them makes. */
  async #try(log: Log, locked: boolean): Promise<Round | undefined> {
    const skip = this.#skip;
    for (;;) {
      try {
        const round = await this.#page(log, locked);
        this.#limit = Math.min(PAGE, this.#limit * 2);
        return round;
      } catch (error) {
        // Whatever was skipped is rolled back.
        this.#skip = skip;
        const refused = isRowRefused(error);
        if (!refused && !(error instanceof BatchTooLarge)) throw error;
        if (this.#limit === 1) {
          if (!refused) throw error;
          return this.#refused(log, error);
        }
        this.#limit >>= 1;
      }
    }
  }

  async #conflict(error: unknown, conflicts: number): Promise<number> {
    if (!(error instanceof WriteConflict)) throw error;
    if (error.kind === 'state') throw wrongState(this.#options.projection, messageOf(error.cause));
    if (conflicts >= MAX_CONFLICTS) throw error;
    await new Promise((resolve) => setTimeout(resolve, jittered(10 * 2 ** Math.min(conflicts, 5))));
    return conflicts + 1;
  }

  async #log(): Promise<Log> {
    const { db, projection } = this.#options;
    const values = [projection.name, projection.version, changeLogOf(projection)];
    const [row] = await db.query<[string, number, string]>(selectVersionLog(db), values);
    if (!row) throw wrongState(projection, 'there is no such version');
    const [epoch, shards, fingerprint] = row;
    if (fingerprint !== fingerprintOf(definitionOf(projection)))
      throw wrongState(projection, 'its table was made for another definition');
    return { fence: { epoch, lease: undefined }, shards };
  }

  /** One page, or under the lock on the key all that is left. Undefined when the key is not parked. */
  async #page(log: Log, locked: boolean): Promise<Round | undefined> {
    const { db, projection, announcer } = this.#options;
    const heads: Heads = [];
    const announce = (): void => {
      for (const { shard, seq } of heads) announcer?.announce(changeLogOf(projection), shard, seq);
    };
    if (!locked && !hasParts(projection)) {
      const round = await this.#round(db, log, heads);
      announce();
      return round;
    }
    const skip = this.#skip;
    const round = await db.transaction(async ({ query }) => {
      this.#skip = skip;
      heads.length = 0;
      const tx: Writer = { query, table: (name) => db.table(name) };
      await this.#lock(tx);
      let events = 0;
      for (;;) {
        const one = await this.#round(tx, log, heads);
        if (!one || !locked || one.fault || one.waiting === 0) {
          return one && { ...one, events: events + one.events };
        }
        events += one.events;
      }
    });
    announce();
    return round;
  }

  async #lock(tx: Writer): Promise<void> {
    const { projection } = this.#options;
    const version = [projection.name, projection.version];
    await tx.query(shareVersion(tx), version);
    if (hasParts(projection)) await tx.query(lockCheckpoints(tx), version);
    await tx.query(lockParked(tx), [...version, this.#name.part, this.#name.key]);
  }

  async #round(db: Writer, log: Log, heads: Heads): Promise<Round | undefined> {
    const queue = await this.#read(db);
    if (!queue) return undefined;
    const { first, skipped, waiting } = queue;
    const { pieces, fault } = await refold(db, this.#options.projection, cellOf(this.#name), waiting);
    const upto = fault ? waiting.findIndex(({ n }) => n === fault.at.n) : waiting.length;
    // Nothing to write: the queue stays as it is.
    if (fault?.kind === 'needs_newer_code' && upto === 0 && !skipped)
      return { events: 0, waiting: queue.queued, fault };
    const release = this.#release({ first, skipped, upto: waiting[upto - 1], fault });
    const left = await this.#write(db, log, pieces, release, heads);
    this.#skip = undefined;
    return { events: upto, waiting: left, fault };
  }

  /**
   * The first events that wait, the one apart that is to be skipped. Undefined when the key is not parked.
   * @throws TidemarkError `wrong_state` where the first is not the one that is to be skipped
   */
  async #read(db: Writer): Promise<Queue | undefined> {
    const skips = this.#skip !== undefined;
    const page = await readWaiting(db, this.#options.projection, this.#name, this.#limit + Number(skips));
    const first = page?.events[0];
    if (!page || !first) return undefined;
    if (skips) this.#checkSkipped(first, page.atFault);
    const waiting = skips ? page.events.slice(1) : page.events;
    return { queued: page.queued, first, skipped: skips ? first : undefined, waiting };
  }

  /** Whoever skips means the event at fault, as it was when it was asked for. */
  #checkSkipped({ n, event }: WaitingEvent, { category, shard, seq }: WaitingPage['atFault']): void {
    this.#skipped ??= n;
    const isAtFault = event.category === category && event.shard === shard && event.seq === seq;
    if (isAtFault && this.#skipped === n) return;
    const why = `the event at fault of ${shown(this.#name)} is not there any more, and the next one was not looked at: nothing was skipped`;
    throw wrongState(this.#options.projection, `${why}; replay the key, or look at it again`);
  }

  /** Postgres does not take what the first event makes. */
  async #refused(log: Log, error: unknown): Promise<Round | undefined> {
    const { db } = this.#options;
    const queue = await this.#read(db);
    const at = queue?.waiting[0];
    if (!queue || !at) return undefined;
    const fault: Fault = { at, kind: 'poison', error };
    const { first, skipped } = queue;
    const release = this.#release({ first, skipped, fault });
    const waiting = await this.#write(db, log, [{ changes: [], parts: undefined, last: true }], release, []);
    this.#skip = undefined;
    return { events: 0, waiting, fault };
  }

  #release(what: Pick<Release, 'first' | 'skipped' | 'upto' | 'fault'>): string {
    return releaseArgument(this.#options.projection, { cell: this.#name, why: this.#skip, ...what });
  }

  /** @returns how many events still wait */
  async #write(
    db: Writer,
    { fence, shards }: Log,
    pieces: AsyncIterable<RefoldedPiece> | readonly RefoldedPiece[],
    release: string,
    heads: Heads,
  ): Promise<number> {
    const { projection } = this.#options;
    let waiting = 0;
    for await (const { changes, parts, last } of pieces) {
      const more = last ? { parts, release } : { parts };
      const written = await writeBatch(db, projection, fence, [], changes, shards, more);
      heads.push(...written.heads);
      if (last) waiting = written.waiting;
    }
    return waiting;
  }
}

const shown = ({ part, key }: CellName): string =>
  part === '' ? JSON.stringify(key) : `${part} ${JSON.stringify(key)}`;

const notParked = ({ name, version }: AnyProjection, cell: CellName): TidemarkError =>
  new TidemarkError('not_parked', `${shown(cell)} is not parked in ${name} v${version}`);

const wrongState = ({ name, version }: AnyProjection, why: string): TidemarkError =>
  new TidemarkError('wrong_state', `projection ${name} v${version}: ${why}`);
