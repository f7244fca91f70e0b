/** What a projection follows: aggregates whose events are folded into rows, into parts of rows, or into both. */
import type { AnyAggregate } from './aggregate.js';
import { lookup } from './decider.js';
import { DefinitionError } from './errors.js';
import { checkAggregate, checkedJoin, checkFold, schemaOf, type ErasedJoinOptions } from './joins.js';
import type { AnyProjection, ProjectionSource } from './projection.js';

export interface ErasedSourceOptions {
  readonly keys?: unknown;
  readonly fold: ProjectionSource['fold'];
}

const NO_FOLDS = lookup<ProjectionSource['fold'][string]>({});

/** Whether rows, and not only parts of them, come from an aggregate. */
export const hasRows = ({ fold }: ProjectionSource): boolean => Object.keys(fold).length > 0;

function checkFollowed(
  base: AnyProjection,
  aggregate: AnyAggregate,
  options: ErasedSourceOptions,
  call: 'on' | 'moving',
): void {
  checkAggregate(`projection ${base.name}: .${call}(…)`, aggregate);
  const where = `projection ${base.name}: .${call}(${aggregate.name})`;
  const own = base.sources.filter(hasRows);
  if (own.some((other) => other.aggregate.name === aggregate.name))
    throw new DefinitionError(`${where} stands there twice`);
  if (own.some(({ moving }) => moving !== (call === 'moving')))
    throw new DefinitionError(
      `${where}: either all rows of a projection move, or none: .on and .moving do not go together`,
    );
  checkFold(`projection ${base.name}`, aggregate, options.fold);
  const folds = Object.values(options.fold);
  const keysFit = ['undefined', 'function'].includes(typeof options.keys);
  if (folds.length === 0 || folds.some((fold) => typeof fold !== 'function') || !keysFit)
    throw new DefinitionError(`${where}: expected keys (where given) and at least one fold, all functions`);
  if (call === 'moving' && options.keys !== undefined)
    throw new DefinitionError(`${where}: a row that moves has its key from its fold; expected no keys`);
}

/** Puts a source in, into the entry of its aggregate where there is one. */
function put(base: AnyProjection, source: ProjectionSource): AnyProjection {
  const at = base.sources.findIndex(({ aggregate }) => aggregate === source.aggregate);
  const sources = at < 0 ? [...base.sources, source] : base.sources.with(at, source);
  const manyStreams =
    sources.length > 1 ||
    sources.some(({ keys, moving, joins }) => keys !== undefined || moving || joins.length > 0);
  return {
    ...base,
    sources: Object.freeze(sources),
    joins: Object.freeze(sources.flatMap(({ joins }) => joins)),
    rowsMove: sources.some(({ moving }) => moving),
    manyStreams,
  };
}

const knownSource = (base: AnyProjection, aggregate: AnyAggregate): ProjectionSource | undefined => {
  const known = base.sources.find((one) => one.aggregate.name === aggregate.name);
  if (known && known.aggregate !== aggregate)
    throw new DefinitionError(`projection ${base.name}: two aggregates of one name: ${aggregate.name}`);
  return known;
};

/** The projection with one more aggregate whose events make rows. @throws DefinitionError with what was expected */
export function withRows(
  base: AnyProjection,
  aggregate: AnyAggregate,
  options: ErasedSourceOptions,
  call: 'on' | 'moving',
): AnyProjection {
  checkFollowed(base, aggregate, options, call);
  const { joins = [] } = knownSource(base, aggregate) ?? {};
  const keys = options.keys as ProjectionSource['keys']; // checked to be a function or absent
  const source = { aggregate, keys, fold: lookup(options.fold), moving: call === 'moving', joins };
  return put(base, Object.freeze(source));
}

/** The projection with one more join. @throws DefinitionError with what was expected */
export function withJoin(
  base: AnyProjection,
  aggregate: AnyAggregate,
  options: ErasedJoinOptions,
): AnyProjection {
  if (base.sources.some(hasRows))
    throw new DefinitionError(
      `projection ${base.name}: .join stands before .on and .moving, whose folds leave its columns out`,
    );
  const join = checkedJoin(base, aggregate, options);
  const known = knownSource(base, aggregate);
  const joins = Object.freeze([...(known?.joins ?? []), join]);
  const joined = put(
    base,
    Object.freeze({ aggregate, keys: undefined, fold: NO_FOLDS, moving: false, joins }),
  );
  const columns = joined.joins.flatMap((one) => one.columns);
  return { ...joined, own: schemaOf(`projection ${base.name}, row`, base.row, columns, 'without') };
}
