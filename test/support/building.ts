/** Builds of read models on a real Postgres, by a builder that was elected by hand. */
import type { AnyProjection } from '../../src/domain/projection.js';
import { silentLogger, type Logger } from '../../src/platform/logger.js';
import { Database } from '../../src/platform/postgres/database.js';
import type { Lease } from '../../src/platform/postgres/leases.js';
import { buildVersion } from '../../src/projections/rebuild/build.js';
import { LOADER_ROLE } from '../../src/projections/rebuild/statements.js';
import type { BuildOptions, BuildOutcome } from '../../src/projections/rebuild/types.js';

/** @returns the lease of the builder of a projection, taken from whoever had it */
export async function electBuilder(
  db: Database,
  { name, version }: AnyProjection,
  holder = 'tester',
): Promise<Lease> {
  const scope = `rebuild/${name}.v${version}`;
  const [row] = await db.query<[number]>(
    `INSERT INTO ${db.table('leases')} AS l (scope, item, holder, term) VALUES ($1, 0, $2, 1)
     ON CONFLICT (scope, item) DO UPDATE SET holder = excluded.holder, term = l.term + 1 RETURNING term`,
    [scope, holder],
  );
  return { scope, item: 0, holder, term: row?.[0] ?? 0 };
}

export const loaderDatabase = (url: string, logger: Logger = silentLogger): Database =>
  new Database({
    connectionString: url,
    schema: 'tidemark',
    role: LOADER_ROLE,
    logger,
    max: 6,
    statementTimeoutMs: 0,
  });

/** Builds a version in this process; one that has stopped is tried again. */
export async function build(
  url: string,
  projection: AnyProjection,
  options: Partial<Omit<BuildOptions, 'projection' | 'db'>> = {},
): Promise<BuildOutcome> {
  const db = loaderDatabase(url);
  try {
    const lease = options.lease ?? (await electBuilder(db, projection));
    return await buildVersion(
      {
        logger: silentLogger,
        signal: new AbortController().signal,
        turn: async () => undefined,
        ...options,
        projection,
        db,
        lease,
      },
      true,
    );
  } finally {
    await db.end();
  }
}
