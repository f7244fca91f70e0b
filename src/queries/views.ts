/** Reads views: one row by its key, or pages of rows, each together with the place in the change log that it was read at. */
import type { AnyApp } from '../domain/app.js';
import { idFault } from '../domain/identifiers.js';
import type { AnyProjection } from '../domain/projection.js';
import type { RowScope } from '../domain/rights.js';
import { TidemarkError } from '../platform/errors.js';
import { shardOf } from '../platform/murmur2.js';
import type { Database } from '../platform/postgres/database.js';
import type { Signer } from '../platform/signing.js';
import { rowJsonFromColumns } from '../projections/columns.js';
import type { ServingGate } from '../projections/types.js';
import type { CursorBinding, PagePayload, ShardSeq } from '../protocol/positions.js';
import { scopeHash } from '../rights/scopes.js';
import { bindingOf, filtersWithin, type ListRequest } from './list-request.js';
import { fault } from './parameters.js';
import { openPage, positionExpired, signCursor, signPage } from './positions.js';
import { listStatement, rowStatement } from './statements.js';

export interface ViewsOptions {
  readonly app: AnyApp;
  /** Of the default kind: json columns come as text. */
  readonly db: Database;
  readonly signer: Signer;
  /** What was read counts only if it lets it through. */
  readonly gate?: ServingGate;
}

export interface RowRead {
  /** Undefined: the view has no such row. */
  readonly row: { readonly json: string; readonly etag: string } | undefined;
  /** A subscription to the key goes on from here, also where there is no row yet. */
  readonly cursor: string | undefined;
  /** An event of it could not be folded: it stands still, also where there is no row yet. */
  readonly parked: boolean;
}

export interface ListRead {
  /** `{items, next}` as JSON. */
  readonly json: string;
  /** Undefined where no subscription can have this filter. */
  readonly cursor: string | undefined;
  /** One of the rows stands still. */
  readonly parked: boolean;
}

/** @throws TidemarkError `invalid_key` when no row can have this key */
export function checkKey(key: string): void {
  const wrong = idFault(key);
  if (wrong !== undefined)
    throw new TidemarkError('invalid_key', `key: ${wrong}`, { faults: [fault('key', wrong)] });
}

type RowColumns = readonly unknown[];
type ListColumns = [
  epoch: string | null,
  heads: string | null,
  found: number | null,
  parked: boolean | null,
  ...RowColumns,
];

export class Views {
  readonly #options: ViewsOptions;
  readonly #projections: ReadonlyMap<string, AnyProjection>;

  constructor(options: ViewsOptions) {
    this.#options = options;
    this.#projections = new Map(options.app.views.map((projection) => [projection.name, projection]));
  }

  /** The projection behind a view. @throws TidemarkError `unknown_view` with the list of those there are */
  projection(name: string): AnyProjection {
    const projection = this.#projections.get(name);
    if (projection) return projection;
    const known = [...this.#projections.keys()];
    throw new TidemarkError(
      'unknown_view',
      `there is no view of this name; there are ${known.join(', ') || '(none)'}`,
      { extra: { known } },
    );
  }

  /**
   * @param key one that `checkKey` lets through
   * @param scope a row outside of it is as one that is not there
   * @throws TidemarkError `not_ready`, `projection_building`
   */
  async row(projection: AnyProjection, key: string, scope: RowScope): Promise<RowRead> {
    const { db, app, signer } = this.#options;
    const shard = shardOf(key, app.shards);
    const { text, values } = rowStatement(db, projection, {
      shard,
      key,
      scope: filtersWithin(projection, scope),
    });
    const [found] = await db.query<[string, number, boolean, number | null, ...RowColumns]>(text, values);
    if (!found) throw notReady(projection);
    const [epoch, head, parked, rev, ...columns] = found;
    await this.#options.gate?.confirm(projection.name, epoch);
    const bind = { view: projection.name, key, ...bound(scope) };
    return {
      row:
        rev === null
          ? undefined
          : { json: rowJsonFromColumns(projection, columns), etag: `"r${epoch}-${rev}"` },
      cursor: signCursor(signer, projection, { epoch, pos: [[shard, head]], bind }),
      // Of a key whose row is not theirs to see, not even that.
      parked: parked && (rev !== null || scope === true),
    };
  }

  /**
   * @param request as `parseListRequest` gives it for this projection
   * @param scope rows outside of it are as those that are not there
   * @throws TidemarkError `invalid_cursor`, `position_expired`, `invalid_parameter`, `not_ready`, `projection_building`
   */
  async list(projection: AnyProjection, request: ListRequest, scope: RowScope): Promise<ListRead> {
    const { db, signer } = this.#options;
    const of = { request, scope: scopeHash(scope) };
    const page = request.page === undefined ? undefined : openPage(signer, projection, of, request.page);
    const filters = [...request.filters, ...filtersWithin(projection, scope)];
    const binding = bindingOf(projection, request.filters, filters);
    const bind = binding && { ...binding, ...bound(scope) };
    const { text, values } = listStatement(db, projection, {
      request: { ...request, filters },
      after: page?.after,
      heads: page || !bind ? 'none' : this.#headsFor(bind),
    });
    const found = await db.query<ListColumns>(text, values);
    const [epoch, heads, count] = found[0] ?? [];
    if (typeof epoch !== 'string') throw notReady(projection);
    await this.#options.gate?.confirm(projection.name, epoch);
    if (page && page.epoch !== epoch) throw positionExpired('page: the view was rebuilt since');
    const pos = page ? page.pos : headsIn(heads);
    const rows = count ? found.map(([, , , , ...columns]) => columns) : [];
    const items = rows.map((columns) => rowJsonFromColumns(projection, columns));
    // A first page that has all the rows it should have is a window; the others carry on what it said.
    const isWhole = rows.length === Math.min(count ?? 0, request.limit);
    const window = page ? page.window : isWhole ? request.window : undefined;
    const last = (count ?? 0) > rows.length ? rows.at(-1) : undefined;
    const after = last && sortValues(projection, request, last);
    const next = after && signPage(signer, projection, { of, epoch, after, pos, window });
    return {
      json: `{"items":[${items.join(',')}],"next":${JSON.stringify(next ?? null)}}`,
      cursor: bind && pos && signCursor(signer, projection, { epoch, pos, bind, window }),
      parked: found.some(([, , , parked]) => parked === true),
    };
  }

  /** By key, only the key's own shard can ever bring anything. */
  #headsFor(bind: CursorBinding): 'all' | { readonly shard: number } {
    return bind.key === undefined ? 'all' : { shard: shardOf(bind.key, this.#options.app.shards) };
  }
}

/** What positions are bound to beside what was asked for. */
const bound = (scope: RowScope): Pick<CursorBinding, 'scope'> => {
  const hash = scopeHash(scope);
  return hash === undefined ? {} : { scope: hash };
};

const sortValues = (
  projection: AnyProjection,
  request: ListRequest,
  columns: RowColumns,
): PagePayload['after'] =>
  request.sort.map(({ field }) => {
    const value = columns[projection.fields.indexOf(field)];
    return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
      ? value
      : null;
  });

const headsIn = (json: string | null | undefined): readonly ShardSeq[] | undefined =>
  typeof json === 'string' ? (JSON.parse(json) as ShardSeq[]) : undefined; // as `listStatement` builds it

const notReady = (projection: AnyProjection): TidemarkError =>
  new TidemarkError('not_ready', `the tables of ${projection.name} are not there yet`, { retryAfter: 1 });
