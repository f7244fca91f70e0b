/**
 * Wake-ups between processes: NOTIFY, which is only ever a hint. It is sent outside of the transactions that it tells of
 * (inside, it would take an instance-wide lock at their commit), and only when another process listens. The first after a
 * quiet moment goes at once; those that follow closely wait for each other and go together.
 */
import { randomBytes } from 'node:crypto';
import { service, type Service } from '../lifecycle.js';
import type { Logger } from '../logger.js';
import { backoff, Bell } from '../pause.js';
import type { Announcer, Wakeups } from '../wakeups.js';
import type { Database } from './database.js';

/** Role of the listening connection: how processes count each other. */
export const LISTEN_ROLE = 'listen';
/** Postgres takes less than 8,000 bytes. */
const MAX_PAYLOAD = 7_900;
/** Between the begins of two sends at the least. */
const COALESCE_MS = 20;
const COUNT_EVERY_MS = 1_000;

/** Listeners of this database. Locks: none. $1 application_name. */
const COUNT_LISTENERS = `SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1`;
/** Locks: an instance-wide one for the moment of its commit, which is why it is coalesced. $1 channel, $2 payloads. */
const SEND = `SELECT pg_notify($1, p) FROM unnest($2::text[]) p`;

/** `[log, shard, seq]` */
type Hint = readonly [log: string, shard: number, seq: number];

export interface PostgresAnnouncerOptions {
  /** Sends; any role's pool. */
  readonly db: Database;
  /** Listens: a pool of its own with role `listen`, of which one connection is held. */
  readonly listenDb: Database;
  readonly wakeups: Wakeups;
  readonly logger: Logger;
}

const channelOf = (db: Database): string => `tidemark_${db.schema}`.slice(0, 63);

/** Hints as payloads, each below Postgres's limit. */
function payloads(from: string, hints: Iterable<Hint>): string[] {
  const made: string[] = [];
  let text = '';
  for (const hint of hints) {
    const part = JSON.stringify(hint);
    if (text !== '' && from.length + text.length + part.length > MAX_PAYLOAD - 8) {
      made.push(`["${from}",${text}]`);
      text = '';
    }
    text += text === '' ? part : `,${part}`;
  }
  if (text !== '') made.push(`["${from}",${text}]`);
  return made;
}

const isHint = (value: unknown): value is Hint =>
  Array.isArray(value) &&
  typeof value[0] === 'string' &&
  Number.isSafeInteger(value[1]) &&
  Number.isSafeInteger(value[2]);

function parse(payload: string): { from: unknown; hints: Hint[] } {
  try {
    const value: unknown = JSON.parse(payload);
    return Array.isArray(value)
      ? { from: value[0], hints: value.slice(1).filter(isHint) }
      : { from: undefined, hints: [] };
  } catch {
    return { from: undefined, hints: [] };
  }
}

export class PostgresAnnouncer implements Announcer, Service {
  readonly name = 'announcer';
  readonly #options: PostgresAnnouncerOptions;
  readonly #self = randomBytes(6).toString('hex');
  readonly #life: Service;
  readonly #pending = new Map<string, Hint>();
  readonly #bell = new Bell();
  #others = 0;
  #countedAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #turn: NodeJS.Immediate | undefined;
  #sentAt = Number.NEGATIVE_INFINITY;
  #sending: Promise<void> | undefined;
  #listening: Promise<void> | undefined;
  #stopping = false;

  constructor(options: PostgresAnnouncerOptions) {
    this.#options = options;
    this.#life = service(this.name, {
      start: () => {
        this.#listening = this.#listen();
        return Promise.resolve();
      },
      stop: async () => {
        this.#stopping = true;
        clearTimeout(this.#timer);
        clearImmediate(this.#turn);
        this.#bell.ring();
        await this.#listening;
        await this.#sending;
      },
    });
  }

  /** Begins to listen; a database that is away is tried again for ever. */
  start(): Promise<void> {
    return this.#life.start();
  }

  stop(): Promise<void> {
    return this.#life.stop();
  }

  announce(log: string, shard: number, seq: number): void {
    this.#options.wakeups.announce(log, shard, seq);
    if (this.#stopping) return;
    const id = `${log}/${shard}`;
    this.#pending.set(id, [log, shard, Math.max(seq, this.#pending.get(id)?.[2] ?? 0)]);
    this.#schedule();
  }

  /** What is announced in one turn of the loop goes together, also where it goes at once. */
  #schedule(): void {
    if (this.#timer !== undefined || this.#turn !== undefined || this.#sending !== undefined) return;
    const wait = this.#sentAt + COALESCE_MS - performance.now();
    if (wait <= 0) this.#turn = setImmediate(() => this.#flush());
    else this.#timer = setTimeout(() => this.#flush(), wait);
  }

  #flush(): void {
    this.#timer = undefined;
    this.#turn = undefined;
    this.#sentAt = performance.now();
    this.#sending = this.#send()
      .catch((err: unknown) => this.#options.logger.debug({ err }, 'hints were not sent'))
      .finally(() => {
        this.#sending = undefined;
        if (this.#pending.size > 0 && !this.#stopping) this.#schedule();
      });
  }

  async #send(): Promise<void> {
    const { db } = this.#options;
    const hints = [...this.#pending.values()];
    this.#pending.clear();
    const send = () => db.query(SEND, [channelOf(db), payloads(this.#self, hints)]);
    const known = this.#others > 0;
    // Whom there was a moment ago there is now, mostly: they need not wait for the count.
    if (known) await send();
    if (performance.now() - this.#countedAt <= COUNT_EVERY_MS) return;
    this.#countedAt = performance.now();
    const [row] = await db.query<[number]>(COUNT_LISTENERS, [`tidemark:${LISTEN_ROLE}`]);
    this.#others = (row?.[0] ?? 0) - 1;
    if (!known && this.#others > 0) await send();
  }

  async #listen(): Promise<void> {
    const { listenDb, logger } = this.#options;
    for (let attempt = 0; !this.#stopping; attempt++) {
      try {
        const client = await listenDb.pool.connect();
        let ended = false;
        const end = (): void => {
          ended = true;
          this.#bell.ring();
        };
        const receive = ({ payload }: { payload?: string | undefined }): void => this.#receive(payload ?? '');
        client.on('error', end).on('end', end).on('notification', receive);
        try {
          await client.query(`LISTEN "${channelOf(listenDb)}"`);
          attempt = 0;
          while (!ended && !this.#stopping) await this.#bell.wait();
        } finally {
          client.off('notification', receive);
          // Not for others: it listens. Its error listener stays, as it may still break while it ends.
          client.release(true);
        }
      } catch (err) {
        if (attempt === 0) logger.warn({ err }, 'cannot listen for wake-ups; trying on');
      }
      if (!this.#stopping) await this.#bell.wait(backoff(attempt, 100, 5_000));
    }
  }

  #receive(payload: string): void {
    const { from, hints } = parse(payload);
    if (from === this.#self) return;
    for (const [log, shard, seq] of hints) this.#options.wakeups.hint(log, shard, seq);
  }
}
