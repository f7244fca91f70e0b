/** A database with the tables of the sample projections, and ways to put rows, changes and checkpoints into them. */
import { migrate, signingKey } from '../../../src/platform/postgres/migrate.js';
import { Database } from '../../../src/platform/postgres/database.js';
import { ensureLog } from '../../../src/platform/postgres/logs.js';
import { silentLogger } from '../../../src/platform/logger.js';
import { Signer } from '../../../src/platform/signing.js';
import { ensureReadModel } from '../../../src/projections/read-model.js';
import { freshDatabase } from '../../support/postgres.js';
import { Sample, sampleApp, type SampleRow } from '../../support/sample-view.js';

export interface SampleDatabase {
  readonly url: string;
  readonly db: Database;
  readonly signer: Signer;
  /** Puts rows into the read model as they are, each with the next revision. */
  put(rows: readonly SampleRow[]): Promise<void>;
  remove(ids: readonly string[]): Promise<void>;
  /** Entries of a shard of the change log from 1 up to `seq`. */
  change(shard: number, seq: number): Promise<void>;
  checkpoint(shard: number, seq: number): Promise<void>;
  /** Another epoch for a log, as after a restore. */
  renew(log: string): Promise<void>;
  epochOf(log: string): Promise<string>;
  end(): Promise<void>;
}

/** The whole row, with what a test says of it. */
export const sampleRow = (id: string, given: Partial<SampleRow> = {}): SampleRow => ({
  id,
  name: 'n',
  note: null,
  amount: null,
  ratio: 0,
  flag: null,
  tags: [],
  secret: '',
  ...given,
});

const COLUMNS = Sample.fields.map(({ name }) => `"${name}"`).join(', ');

export async function sampleDatabase(): Promise<SampleDatabase> {
  const pg = await freshDatabase();
  const db = new Database({
    connectionString: pg.url,
    schema: 'tidemark',
    role: 'test',
    logger: silentLogger,
  });
  await migrate(db);
  await ensureLog(db, 'thing', sampleApp.shards);
  await ensureReadModel(db, sampleApp);
  let rev = 0;
  return {
    url: pg.url,
    db,
    signer: new Signer(await signingKey(db)),
    async put(rows) {
      await db.query(
        `INSERT INTO ${db.table('sample__v1')} (${COLUMNS}, _rev)
         SELECT ${COLUMNS}, $2::int + row_number() OVER () FROM json_populate_recordset(NULL::${db.table('sample__v1')}, $1::json)`,
        [JSON.stringify(rows), rev],
      );
      rev += rows.length;
    },
    async remove(ids) {
      await db.query(`DELETE FROM ${db.table('sample__v1')} WHERE id = ANY ($1)`, [ids]);
    },
    async change(shard, seq) {
      await db.query(
        `INSERT INTO ${db.table('changes')} (log, shard, seq, slot, key, recorded_at)
         SELECT 'sample.v1', $1::int, n, 0, 'k', now() FROM generate_series(1, $2::int) n ON CONFLICT DO NOTHING`,
        [shard, seq],
      );
    },
    async checkpoint(shard, seq) {
      await db.query(
        `UPDATE ${db.table('checkpoints')} SET seq = $2 WHERE projection = 'sample' AND shard = $1`,
        [shard, seq],
      );
    },
    async renew(log) {
      await db.query(`UPDATE ${db.table('shards')} SET epoch = epoch || 'x' WHERE log = $1`, [log]);
    },
    async epochOf(log) {
      const [row] = await db.query<[string]>(`SELECT epoch FROM ${db.table('shards')} WHERE log = $1`, [log]);
      if (!row) throw new Error(`no log ${log}`);
      return row[0];
    },
    async end() {
      await db.end();
      await pg.drop();
    },
  };
}
