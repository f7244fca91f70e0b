/** The application: what a team hands to Tidemark. Data only; nothing runs here. */
import type { AnyAggregate } from './aggregate.js';
import type { AnyConsumer } from './consume.js';
import { authFrom } from './auth.js';
import { DefinitionError } from './errors.js';
import { checkName } from './identifiers.js';
import type { AnyProjection } from './projection.js';
import type { AnyQuery } from './query.js';
import { hasRows } from './sources.js';
import { retentionFrom, type Retention, type RetentionOptions } from './retention.js';
import type { AppAuth, Claims } from './rights.js';
import type { AuthRules } from './rules.js';
import type { AnyReadModel } from './tables.js';

const DEFAULT_SHARDS = 16;
const MAX_SHARDS = 256;
/** Characters of a topic’s name in Kafka. */
const MAX_TOPIC = 249;

/** An application with its types erased. */
export interface AnyApp {
  readonly kind: 'app';
  readonly name: string;
  readonly aggregates: readonly AnyAggregate[];
  /** All of them: rows by key (`projection`) and tables of a handler (`tables`). */
  readonly projections: readonly AnyReadModel[];
  /** Those with rows by key, in the same order: what has a view, a change log and subscribers. */
  readonly views: readonly AnyProjection[];
  readonly queries: readonly AnyQuery[];
  /** What turns other systems’ records into commands. */
  readonly consumers: readonly AnyConsumer[];
  /** Shards of every log, fixed when a log is created. */
  readonly shards: number;
  /** What is kept of each change log. */
  readonly changes: Retention;
  /** Who may do what. */
  readonly auth: AppAuth;
}

/** An application; the type parameters are read by the client. */
export interface App<
  A extends readonly AnyAggregate[],
  P extends readonly AnyReadModel[],
  Q extends readonly AnyQuery[],
> extends AnyApp {
  readonly aggregates: A;
  readonly projections: P;
  readonly queries: Q;
}

function unique(where: string, kind: string, things: readonly { readonly name: string }[]): void {
  const names = new Set<string>();
  for (const { name } of things) {
    if (names.has(name)) throw new DefinitionError(`${where}: two ${kind} of one name: ${name}`);
    names.add(name);
  }
}

/** What was handed in is what a definition’s last call gives, not what an earlier one does. */
function ofKind(
  where: string,
  kind: string,
  hint: string,
  things: readonly unknown[],
  kinds: readonly unknown[] = [kind],
): void {
  things.forEach((one, index) => {
    if (typeof one !== 'object' || one === null || !('kind' in one) || !kinds.includes(one.kind))
      throw new DefinitionError(`${where}: ${kind} ${index + 1} of the list: expected what ${hint} gives`);
  });
}

function checkSources(where: string, app: Pick<AnyApp, 'aggregates' | 'projections'>): void {
  for (const one of app.projections) {
    if (one.kind === 'tables' ? one.sources.length === 0 : !one.sources.some(hasRows))
      throw new DefinitionError(
        `projection ${one.name}: expected at least one .on(aggregate${one.kind === 'tables' ? '' : ', …'})`,
      );
    for (const { aggregate } of one.sources) {
      if (!app.aggregates.includes(aggregate))
        throw new DefinitionError(
          `projection ${one.name} follows aggregate ${aggregate.name}, which is not in ${where}`,
        );
    }
  }
}

/** Each table is also a view for people, so that no two may share a name, whoever's they are. */
function checkTables(where: string, projections: readonly AnyReadModel[]): void {
  const owners = new Map(projections.map(({ name }) => [name, name]));
  for (const one of projections) {
    if (one.kind !== 'tables') continue;
    for (const table of one.tables) {
      const owner = owners.get(table.name);
      if (owner !== undefined && owner !== one.name)
        throw new DefinitionError(
          `${where}: table ${table.name} of projection ${one.name} has a name of projection ${owner}`,
        );
      owners.set(table.name, one.name);
    }
  }
}

function checkReads(where: string, app: Pick<AnyApp, 'projections' | 'queries'>): void {
  for (const one of app.queries) {
    for (const read of one.reads) {
      if (!app.projections.some((known) => known.name === read.name && known.version === read.version))
        throw new DefinitionError(
          `query ${one.name} reads ${read.name} v${read.version}, which is not in ${where}`,
        );
    }
  }
}

/** Dead letters of a topic go to `<app>.<topic>.dead-letters`, which Kafka must take as a name, and no projection’s are in. */
function checkConsumers(
  where: string,
  app: Pick<AnyApp, 'name' | 'aggregates' | 'projections' | 'consumers'>,
): void {
  for (const { name, topic, sends } of app.consumers) {
    for (const target of sends) {
      if (!app.aggregates.includes(target))
        throw new DefinitionError(
          `consumer ${name} sends commands to aggregate ${target.name}, which is not in ${where}`,
        );
    }
    const room = MAX_TOPIC - `${app.name}..dead-letters`.length;
    if (topic.length > room)
      throw new DefinitionError(
        `consumer ${name}: topic of ${topic.length} characters: expected at most ${room}, as dead letters go to ${app.name}.<topic>.dead-letters`,
      );
    if (app.projections.some((one) => one.name === topic))
      throw new DefinitionError(
        `consumer ${name}: topic ${topic} has a projection’s name, whose dead letters would be in one topic with its own`,
      );
  }
}

/**
 * Puts an application together. A module that exports it as default can be started by `tidemark start`.
 * @param options.consumers what is read of other systems’ topics; runs where there is a Kafka
 * @param options.shards shards of every log, 1–256, 16 by default; fixed when a log is created
 * @param options.changes what is kept of each change log; a week and 1 GiB by default
 * @param options.auth who may do what; `'none'`: everyone is `anonymous` and may do everything, which only a loopback server allows
 * @throws DefinitionError with what was expected
 */
export function defineApp<
  const A extends readonly AnyAggregate[],
  const P extends readonly AnyReadModel[] = [],
  const Q extends readonly AnyQuery[] = [],
  C = Claims,
>(options: {
  readonly name: string;
  readonly aggregates: A;
  readonly projections?: P;
  readonly queries?: Q;
  readonly consumers?: readonly AnyConsumer[];
  readonly shards?: number;
  readonly changes?: RetentionOptions;
  readonly auth: 'none' | AuthRules<NoInfer<A>, NoInfer<P>, NoInfer<Q>, C>;
}): App<A, P, Q> {
  checkName('app', options.name);
  const where = `app ${options.name}`;
  const shards = options.shards ?? DEFAULT_SHARDS;
  if (!Number.isInteger(shards) || shards < 1 || shards > MAX_SHARDS)
    throw new DefinitionError(
      `${where}: shards ${String(shards)}: expected a whole number from 1 to ${MAX_SHARDS}`,
    );
  const projections: readonly AnyReadModel[] = Object.freeze([...(options.projections ?? [])]);
  const app: Omit<AnyApp, 'auth'> = {
    kind: 'app',
    name: options.name,
    aggregates: Object.freeze([...options.aggregates]),
    projections,
    views: Object.freeze(projections.filter((one) => one.kind === 'projection')),
    queries: Object.freeze([...(options.queries ?? [])]),
    consumers: Object.freeze([...(options.consumers ?? [])]),
    shards,
    changes: retentionFrom(where, options.changes),
  };
  if (app.aggregates.length === 0) throw new DefinitionError(`${where}: expected at least one aggregate`);
  ofKind(where, 'aggregate', 'aggregate(…).evolve(…).decide(…)', app.aggregates);
  ofKind(where, 'projection', 'projection(…).on(…) or tables(…).on(…).handle(…)', app.projections, [
    'projection',
    'tables',
  ]);
  ofKind(where, 'query', 'query(…).handle(…)', app.queries);
  ofKind(where, 'consumer', 'consume(…).handle(…)', app.consumers);
  unique(where, 'aggregates', app.aggregates);
  unique(where, 'projections', app.projections);
  unique(where, 'queries', app.queries);
  unique(where, 'consumers', app.consumers);
  checkTables(where, app.projections);
  checkSources(where, app);
  checkReads(where, app);
  checkConsumers(where, app);
  return Object.freeze({ ...app, auth: authFrom(where, options.auth, app) }) as App<A, P, Q>;
}

export const isApp = (value: unknown): value is AnyApp =>
  typeof value === 'object' &&
  value !== null &&
  'kind' in value &&
  value.kind === 'app' &&
  'aggregates' in value;
