/** A live view in a test: the rows as they are now, and a way to wait until they are as they should be. */
import { WebSocket } from 'ws';
import {
  SUBPROTOCOL,
  type AuthFrame,
  type ChangePart,
  type ServerFrame,
  type ScalarValue,
  type SubFrame,
} from '../protocol/frames.js';

const ID = 'test';

export type SubscribeTo =
  { readonly key: string } | { readonly where: Readonly<Record<string, ScalarValue>> } | Record<never, never>;

export interface LiveChange<R> {
  readonly key: string;
  /** Revision: the seq of the row’s last change. */
  readonly rev: number;
  /** Null where there is none any more. */
  readonly row: R | null;
}

export interface Subscription<R> {
  /** The rows as of now, by key. */
  readonly rows: ReadonlyMap<string, R>;
  /** Every change since the snapshot, in the order of arrival. */
  readonly changes: readonly LiveChange<R>[];
  /**
   * Resolves with the rows once they are as `condition` says, asked now and after every change.
   * @param timeoutMs 30,000 unless told otherwise
   * @throws Error with the rows when it takes longer, or when the subscription fails
   */
  until(
    condition: (rows: ReadonlyMap<string, R>) => boolean,
    timeoutMs?: number,
  ): Promise<ReadonlyMap<string, R>>;
  close(): Promise<void>;
}

interface Waiter {
  /** True once it is settled. */
  check(): boolean;
  fail(error: Error): void;
}

class LiveRows<R> implements Subscription<R> {
  readonly rows = new Map<string, R>();
  readonly changes: LiveChange<R>[] = [];
  readonly #socket: WebSocket;
  readonly #last = new Map<number, number>();
  readonly #waiters = new Set<Waiter>();
  #live = false;
  #failure: Error | undefined;
  #closing = false;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data) => this.#receive(JSON.parse(String(data)) as ServerFrame));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', (code) => {
      if (!this.#closing) this.#fail(new Error(`the socket was closed with ${code}`));
    });
  }

  until(
    condition: (rows: ReadonlyMap<string, R>) => boolean,
    timeoutMs = 30_000,
  ): Promise<ReadonlyMap<string, R>> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const rows = JSON.stringify([...this.rows.values()]);
        waiter.fail(new Error(`the rows are not as expected after ${timeoutMs} ms: ${rows}`));
      }, timeoutMs);
      const settle = (): void => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
      };
      const waiter: Waiter = {
        check: () => {
          if (!this.#live || !condition(this.rows)) return false;
          settle();
          resolve(this.rows);
          return true;
        },
        fail(error) {
          settle();
          reject(error);
        },
      };
      this.#waiters.add(waiter);
      if (this.#failure) waiter.fail(this.#failure);
      else waiter.check();
    });
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#fail(new Error('the subscription is closed'));
    if (this.#socket.readyState === WebSocket.CLOSED) return;
    const closed = new Promise<void>((resolve) => this.#socket.once('close', () => resolve()));
    this.#socket.close();
    await closed;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const waiter of [...this.#waiters]) waiter.fail(this.#failure);
  }

  #receive(frame: ServerFrame): void {
    switch (frame.t) {
      case 'snap':
        for (const [key, , row] of frame.rows) this.rows.set(key, row as R);
        return;
      case 'live':
        this.#live = true;
        for (const [shard, seq] of frame.pos) this.#last.set(shard, seq);
        break;
      case 'chg':
        for (const part of frame.d) this.#apply(part);
        break;
      case 'reset':
        this.#live = false;
        this.rows.clear();
        this.#last.clear();
        return;
      case 'unsubbed':
        if (frame.drop === true) this.rows.clear();
        this.#fail(new Error(`the subscription was ended: ${frame.reason ?? 'unsubbed'}`));
        return;
      case 'err':
        this.#fail(new Error(`${frame.code}: ${frame.message}`));
        return;
      default:
        return;
    }
    for (const waiter of [...this.#waiters]) waiter.check();
  }

  /** After seq `p` comes everything up to `s`: what begins later than where we stand means that something was lost. */
  #apply([shard, p, s, rows]: ChangePart): void {
    const last = this.#last.get(shard) ?? 0;
    if (s <= last) return;
    if (p > last) {
      this.#fail(new Error(`changes ${last + 1} to ${p} of shard ${shard} were lost on the way`));
      return;
    }
    this.#last.set(shard, s);
    for (const [key, rev, row] of rows) {
      if (row === null) this.rows.delete(key);
      else this.rows.set(key, row as R);
      this.changes.push({ key, rev, row: row as R | null });
    }
  }
}

/** Subscribes to a view; resolves when its snapshot is complete. @param url `ws://host:port/realtime` @param token of whoever subscribes */
export async function subscribeTo<R>(
  url: string,
  view: string,
  to: SubscribeTo,
  token?: string,
): Promise<Subscription<R>> {
  const socket = new WebSocket(url, SUBPROTOCOL);
  const live = new LiveRows<R>(socket);
  const frame: SubFrame = { t: 'sub', id: ID, view, ...to };
  socket.once('open', () => {
    if (token !== undefined) socket.send(JSON.stringify({ t: 'auth', token } satisfies AuthFrame));
    socket.send(JSON.stringify(frame));
  });
  try {
    await live.until(() => true);
  } catch (error) {
    await live.close();
    throw error;
  }
  return live;
}
