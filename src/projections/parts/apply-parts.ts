/** What the function that writes a batch (apply.ts) does with parts, and its argument. */
import { hasParts, keyOfPart } from '../../domain/parts.js';
import type { AnyProjection } from '../../domain/projection.js';
import type { Database } from '../../platform/postgres/database.js';
import { sortByBytes } from '../../platform/postgres/logs.js';
import type { ParkingRoom } from '../parked/types.js';
import { cellName } from './cells.js';
import { partTable } from './ddl.js';
import type { PartChange } from './joiner.js';

type Tables = Pick<Database, 'table'>;

/** SQLSTATEs, as of apply.ts. */
interface Errors {
  readonly row: string;
  readonly parked: string;
}

/**
 * Under the checkpoints' locks, before anything is parked: what is parked must be what the worker took for parked. Whoever
 * takes keys out writes rows and parts that the worker has read before; it locks all checkpoints first, so that none can come in
 * between. Nothing where rows are not made of parts.
 */
export function checkParked(db: Tables, projection: AnyProjection, errors: Errors): string {
  if (!hasParts(projection)) return '';
  return `
  IF p_parts IS NOT NULL THEN
    PERFORM FROM ${db.table('parked')} k WHERE k.projection = '${projection.name}' AND k.version = ${projection.version}
    HAVING count(*) = (p_parts ->> 'parked')::bigint AND coalesce(sum(k.queued), 0) = (p_parts ->> 'queued')::bigint;
    IF NOT FOUND THEN RAISE EXCEPTION 'other keys are parked' USING ERRCODE = '${errors.parked}'; END IF;
  END IF;
`;
}

/** Locks the parts in their order; each must be of the version that it was folded from. Then they are written. */
export function writeParts(db: Tables, projection: AnyProjection, errors: Errors): string {
  if (!hasParts(projection)) return '';
  const parts = db.table(partTable(projection));
  const changing = ['version', 'row_key', 'since', 'part'].map((name) => `${name} = excluded.${name}`);
  return `
  IF p_parts IS NOT NULL THEN
    PERFORM FROM json_to_recordset(p_parts -> 'write') AS w(source text, key text, known bigint)
    CROSS JOIN LATERAL (SELECT t.version FROM ${parts} t WHERE t.source = w.source AND t.key = w.key FOR NO KEY UPDATE) l
    HAVING count(*) = (p_parts ->> 'known')::bigint AND count(*) FILTER (WHERE l.version = w.known) = count(*);
    IF NOT FOUND THEN RAISE EXCEPTION 'a part was changed by another' USING ERRCODE = '${errors.row}'; END IF;
    INSERT INTO ${parts} AS t (source, key, version, row_key, since, part)
    SELECT w.source, w.key, w.version, w.row_key, w.since, w.part
    FROM json_to_recordset(p_parts -> 'write') AS w(source text, key text, version bigint, row_key text, since text, part json)
    ON CONFLICT (source, key) DO UPDATE SET ${changing.join(', ')};
  END IF;
`;
}

/** The argument; undefined where rows are not made of parts. */
export function partsArgument(
  projection: AnyProjection,
  changes: readonly PartChange[],
  parking: Pick<ParkingRoom, 'known' | 'events' | 'maxEvents'>,
): string | undefined {
  if (!hasParts(projection)) return undefined;
  const byCell = new Map(changes.map((change) => [change.cell, change]));
  // In one order always, as the locks are taken in it.
  const ordered = sortByBytes([...byCell.keys()]).flatMap((cell) => byCell.get(cell) ?? []);
  return JSON.stringify({
    parked: parking.known.size,
    queued: parking.maxEvents - parking.events,
    known: ordered.filter(({ before }) => before.rev > 0).length,
    write: ordered.map(({ cell, before, part }) => ({
      source: cellName(cell).part,
      key: cellName(cell).key,
      known: before.rev,
      version: part.version,
      row_key: keyOfPart(projection, part) ?? null,
      since: part.since,
      part,
    })),
  });
}
