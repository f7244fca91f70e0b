/** Reads: rows of views, and named queries, also such that have what a command wrote. */
import type { AnyRow } from '../app-types.js';
import type { Call, Http } from './calls.js';

export interface ReadOptions {
  /** Tokens of commands: the read waits until it has them. */
  readonly after?: string | readonly string[];
  /** How long the server waits for that, in ms (0–30,000; 2,000); after that the client asks again. */
  readonly wait?: number;
  readonly signal?: AbortSignal;
}

type QueryValue = string | number | boolean | null | undefined;

/** What a list is asked for, types erased. */
export interface ListOptions extends ReadOptions {
  readonly where?: Readonly<Record<string, QueryValue>>;
  readonly sort?: string | readonly string[];
  /** Rows of a page, 1–1,000; 50. */
  readonly limit?: number;
  /** `next` of the page before, with the same filter, sort and limit. */
  readonly page?: string;
}

/** A page of rows. */
export interface Page<Row> {
  readonly items: readonly Row[];
  /** Where the next page begins; null: this was the last one. */
  readonly next: string | null;
  /** A subscription of the same filter goes on from here (`from`) without a hole; there is one where it can be subscribed to. */
  readonly cursor: string | null;
}

type Query = NonNullable<Call['query']>;

function waiting({ after = [], wait }: ReadOptions): Query {
  const tokens = typeof after === 'string' ? [after] : after;
  return [
    ...tokens.map((token) => ['after', token] as const),
    ...(wait === undefined ? [] : [['wait', String(wait)] as const]),
  ];
}

const sortText = (sort: string | readonly string[]): string =>
  typeof sort === 'string' ? sort : sort.join(',');

function listing(options: ListOptions): Query {
  const { where = {}, sort, limit, page } = options;
  const filters = Object.entries(where).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value === null ? '' : String(value)] as const],
  );
  return [
    ...filters,
    ...(sort === undefined ? [] : [['sort', sortText(sort)] as const]),
    ...(limit === undefined ? [] : [['limit', String(limit)] as const]),
    ...(page === undefined ? [] : [['page', page] as const]),
    ...waiting(options),
  ];
}

/** The row of a key, null where there is none, and where a subscription to the key would go on. @throws ClientError */
export async function readRow(
  http: Http,
  view: string,
  key: string,
  options: ReadOptions,
): Promise<{ readonly row: AnyRow | null; readonly cursor: string | null }> {
  const { body, headers } = await http.call({
    path: ['views', view, key],
    query: waiting(options),
    signal: options.signal,
    missing: 'row_not_found',
  });
  return { row: body as AnyRow | null, cursor: headers.get('tidemark-cursor') }; // what the contract says
}

/** @throws ClientError */
export async function readPage(http: Http, view: string, options: ListOptions): Promise<Page<AnyRow>> {
  const { signal } = options;
  const { body, headers } = await http.call({ path: ['views', view], query: listing(options), signal });
  const { items, next } = body as { items: AnyRow[]; next: string | null }; // the contract, as above
  return { items, next, cursor: headers.get('tidemark-cursor') };
}

/** Page after page until the last. @throws ClientError */
export async function* readPages(
  http: Http,
  view: string,
  options: ListOptions,
): AsyncGenerator<Page<AnyRow>, void, undefined> {
  let { page } = options;
  for (;;) {
    const read = await readPage(http, view, { ...options, ...(page === undefined ? {} : { page }) });
    yield read;
    if (read.next === null) return;
    page = read.next;
  }
}

/** By POST, as an input may be larger than a URL. @throws ClientError */
export async function runQuery(
  http: Http,
  name: string,
  input: unknown,
  options: ReadOptions,
): Promise<unknown> {
  const { signal } = options;
  const path = ['queries', name];
  const { body } = await http.call({ path, body: input ?? {}, query: waiting(options), signal });
  return body;
}
