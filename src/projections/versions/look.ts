/** One look at the versions of an application's projections: their states, stops, parked keys and checkpoints. */
import type { AnyReadModel } from '../../domain/tables.js';
import type { Database } from '../../platform/postgres/database.js';
import { changeLogOf } from '../names.js';
import type { ProjectionState } from '../states.js';
import type { BuildProgress, ShardStop, VersionFacts } from '../types.js';
import { selectVersions } from './statements.js';

/** Up to which seq the events of a shard are in. */
export type Point = readonly [source: string, shard: number, seq: number];

/** Another version of the projection that is not retired. */
export interface OtherVersion {
  readonly version: number;
  /** It may be served. */
  readonly ready: boolean;
  readonly points: readonly Point[];
}

/** What one look found of one version. */
export interface Sight {
  readonly facts: VersionFacts;
  /** Epoch of its change log. */
  readonly epoch: string;
  readonly points: readonly Point[];
  /** Empty where nobody asked. */
  readonly others: readonly OtherVersion[];
}

type Columns = readonly [
  name: string,
  state: ProjectionState | null,
  reason: string | null,
  loaded: boolean,
  ready: boolean,
  acceptParked: boolean,
  progress: string | null,
  epoch: string | null,
  parked: number,
  stops: string | null,
  points: string | null,
  others: string | null,
];

/** @param comparing projections whose other versions are asked for too */
export async function lookAtVersions(
  db: Database,
  projections: readonly AnyReadModel[],
  comparing: (projection: AnyReadModel) => boolean,
): Promise<ReadonlyMap<string, Sight>> {
  const rows = await db.query<Columns>(selectVersions(db), [
    projections.map(({ name }) => name),
    projections.map(({ version }) => version),
    projections.map(changeLogOf),
    projections.map(comparing),
  ]);
  const versions = new Map(projections.map(({ name, version }) => [name, version]));
  return new Map(
    rows.flatMap((columns) => {
      const sight = sightOf(columns, versions.get(columns[0]) ?? 0);
      return sight ? [[columns[0], sight] as const] : [];
    }),
  );
}

function sightOf(columns: Columns, version: number): Sight | undefined {
  const [
    name,
    state,
    reason,
    loaded,
    ready,
    acceptParked,
    progress,
    epoch,
    parkedKeys,
    stops,
    points,
    others,
  ] = columns;
  if (state === null || epoch === null) return undefined;
  return {
    facts: {
      name,
      version,
      state,
      ...(reason === null ? {} : { reason }),
      loaded,
      ready,
      acceptParked,
      parkedKeys,
      stops: stopsIn(stops),
      ...progressIn(progress),
    },
    epoch,
    points: listIn<Point>(points),
    others: listIn<[number, boolean, Point[]]>(others).map(([other, isReady, itsPoints]) => ({
      version: other,
      ready: isReady,
      points: itsPoints,
    })),
  };
}

/** JSON as the statement builds it. */
const listIn = <T>(json: string | null): readonly T[] => (json === null ? [] : (JSON.parse(json) as T[]));

const stopsIn = (json: string | null): readonly ShardStop[] =>
  listIn<[string, number, ShardStop['kind'], string, number]>(json).map(
    ([source, shard, kind, reason, seq]) => ({ source, shard, kind, reason, seq }),
  );

/** As its builder writes it; told only where it is whole. */
function progressIn(json: string | null): { progress?: BuildProgress } {
  if (json === null) return {};
  return { progress: JSON.parse(json) as BuildProgress };
}
