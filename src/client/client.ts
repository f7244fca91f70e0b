/** The client: HTTP calls, one connection, and the live views on it. */
import type { AnyApp } from '../domain/app.js';
import type { ClientPosition } from '../protocol/frames.js';
import type { AnyRow, Named } from './app-types.js';
import type { Client, Observer, OptimisticChange, Subscription } from './client-types.js';
import { Http } from './http/calls.js';
import { sendCommand, type CommandResult, type SendOptions } from './http/commands.js';
import { readPage, readPages, readRow, runQuery, type ListOptions, type ReadOptions } from './http/reads.js';
import { Feed } from './live/feed.js';
import { LiveViews } from './live/live-views.js';
import { Overlay, placeOf, type RowChange } from './live/overlay.js';
import { requestOf, type Wanted } from './live/request.js';
import { settingsFrom, type ClientOptions } from './options.js';
import { watchPage } from './page.js';
import { Connection } from './socket/connection.js';
import { tabPorts } from './tabs/browser.js';
import { TabLines } from './tabs/tab-lines.js';
import { SocketLine } from './socket/socket-line.js';

const nameOf = (thing: Named<string>): string => (typeof thing === 'string' ? thing : thing.name);

type ErasedExpect = (view: Named<string>, key: string, change: RowChange) => void;

/** The client with its types erased: the interface, which is made of the application’s types, is put on at the end. */
class RunningClient {
  readonly #http: Http;
  readonly #connection: Connection;
  readonly #overlay = new Overlay();
  readonly #live: LiveViews;
  readonly #tabs: TabLines | undefined;
  readonly #unlisten: () => void;
  readonly #renewed = new Set<() => void>();

  constructor(options: ClientOptions) {
    const settings = settingsFrom(options);
    this.#http = new Http(settings, (error) => this.#connection.refused(error));
    const ports = settings.shareTabs ? tabPorts() : undefined;
    const tabs = ports && new TabLines(settings, ports, () => this.#renewHere());
    this.#tabs = tabs;
    this.#connection = new Connection(
      (events, refresh) => tabs?.open(events, refresh) ?? new SocketLine(settings, events, refresh),
      settings.backoff,
    );
    this.#live = new LiveViews(settings, this.#connection, this.#overlay);
    this.#unlisten = watchPage({
      woke: () => this.#connection.wake(),
      hidden: () => {
        this.#connection.hold('page');
        this.#tabs?.end();
      },
      shown: () => {
        this.#tabs?.listen();
        this.#connection.release('page');
      },
    });
  }

  async command(
    aggregate: Named<string>,
    streamId: string,
    command: string,
    input: unknown,
    options: SendOptions & { readonly optimistic?: (expect: ErasedExpect) => void } = {},
  ): Promise<CommandResult> {
    const expected: OptimisticChange[] = [];
    try {
      options.optimistic?.((view, key, change) => {
        expected.push(this.optimistic(view, key, change));
      });
      const path = [nameOf(aggregate), streamId, command] as const;
      const result = await sendCommand(this.#http, path, input, options);
      for (const one of expected) void one.confirm(result.token);
      return result;
    } catch (error) {
      for (const one of expected) one.rollback();
      throw error;
    }
  }

  async view(
    view: Named<string>,
    what: string | ListOptions = {},
    options: ReadOptions = {},
  ): Promise<unknown> {
    if (typeof what !== 'string') return readPage(this.#http, nameOf(view), what);
    return (await readRow(this.#http, nameOf(view), what, options)).row;
  }

  pages(view: Named<string>, request: ListOptions = {}): AsyncIterable<unknown> {
    return readPages(this.#http, nameOf(view), request);
  }

  query(query: Named<string>, input: unknown, options: ReadOptions = {}): Promise<unknown> {
    return runQuery(this.#http, nameOf(query), input, options);
  }

  live(view: Named<string>, request: Wanted = {}): unknown {
    return this.#live.open(nameOf(view), request);
  }

  peek(view: Named<string>, request: Wanted = {}): unknown {
    return this.#live.peek(nameOf(view), request);
  }

  subscribe(
    view: Named<string>,
    wanted: Wanted & { readonly from?: string | ClientPosition },
    observer: Observer<AnyRow>,
  ): Subscription {
    const { request } = requestOf(nameOf(view), wanted);
    const sink = {
      snapshot: observer.snapshot ?? ignore,
      changes: observer.changes ?? ignore,
      dropped: observer.dropped ?? ignore,
      moved: (): void => {
        const { status, error } = feed;
        if (status === told.status && error === told.error) return;
        told = { status, error };
        observer.status?.(status, error);
      },
    };
    const feed = new Feed(request, sink, this.#connection, wanted.from);
    let told = { status: feed.status, error: feed.error };
    this.#connection.add(feed);
    return {
      get status() {
        return feed.status;
      },
      get position() {
        return feed.position;
      },
      close: () => this.#connection.remove(feed),
    };
  }

  optimistic(thing: Named<string>, key: string, change: RowChange): OptimisticChange {
    const view = nameOf(thing);
    const pending = this.#overlay.add(view, key, change);
    return {
      confirm: async (token) => {
        // Where the row is not the caller’s to read, or cannot be read now, nobody can tell when it arrives.
        const read = await readRow(this.#http, view, key, { after: token }).catch(() => undefined);
        const { cursor } = read ?? { cursor: null };
        this.#overlay.settle(view, pending, cursor === null ? undefined : placeOf(cursor));
      },
      rollback: () => this.#overlay.remove(view, pending),
    };
  }

  pause(): void {
    this.#connection.hold('caller');
  }

  resume(): void {
    this.#connection.release('caller');
  }

  renew(): void {
    this.#tabs?.tellRenewed();
    this.#renewHere();
  }

  #renewHere(): void {
    this.#http.renew();
    this.#overlay.clear();
    this.#connection.renew();
    for (const tell of this.#renewed) tell();
  }

  onRenew(listener: () => void): () => void {
    // Of one that is there twice, each ends by itself.
    const tell = (): void => listener();
    this.#renewed.add(tell);
    return () => void this.#renewed.delete(tell);
  }

  close(): void {
    this.#unlisten();
    this.#http.close();
    this.#connection.close();
    this.#tabs?.end();
    this.#live.close();
  }
}

const ignore = (): void => undefined;

/**
 * A client of a running application, typed by it: `createClient<typeof app>({ url })` with `import type`, so that nothing
 * of the server gets into a page.
 * @throws ClientError `no_url` when a URL is relative and there is no page
 */
export function createClient<A extends AnyApp = AnyApp>(options: ClientOptions = {}): Client<A> {
  // What it takes and gives is checked by the server, against the schemas that the types are made of.
  return new RunningClient(options) as unknown as Client<A>;
}
