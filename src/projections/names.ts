/**
 * Names of what a projection has in Postgres. Read-model tables and views begin with a lower-case letter, as projections
 * do; what Tidemark makes beside them begins with `_`, so that no projection's name can collide with it.
 */
import { createHash } from 'node:crypto';
import type { Field } from '../domain/fields.js';
import type { AnyReadModel } from '../domain/tables.js';
import { changeLogName } from '../protocol/positions.js';

export type Versioned = Pick<AnyReadModel, 'name' | 'version'>;

/** Postgres cuts longer names off, silently. */
const MAX_NAME = 63;

/** The read-model table, unquoted: `order_summary__v1`. */
export const readModelTable = ({ name, version }: Versioned): string => `${name}__v${version}`;

export interface ReadableTable {
  /** As queries name it, and its view for people. */
  readonly name: string;
  /** In Postgres, unquoted. */
  readonly table: string;
  readonly fields: readonly Field[];
}

/** The tables of a projection that may be read: its rows, or those that its handler writes. */
export function readableTables(projection: AnyReadModel): readonly ReadableTable[] {
  const { name, version } = projection;
  const tables = projection.kind === 'tables' ? projection.tables : [{ name, fields: projection.fields }];
  return tables.map((one) => ({
    name: one.name,
    fields: one.fields,
    table: readModelTable({ name: one.name, version }),
  }));
}

/** The change log of a projection: `order_summary.v1`. */
export const changeLogOf = ({ name, version }: Versioned): string => changeLogName(name, version);

/** The lease of the one writer of a projection over many streams, and its group at the feed. */
export const writerScope = (projection: Versioned): string => `projector/${changeLogOf(projection)}`;

/** The partition of `changes` that holds a change log, from the log's name; undefined when it is no such name. */
export function changeTable(log: string): string | undefined {
  const match = /^([a-z][a-z0-9_]{0,39})\.v([1-9]\d{0,5})$/.exec(log);
  return match ? `_log_${match[1]}__v${match[2]}` : undefined;
}

/** The partition of a change log for one slot; its number in base 36, so that the longest name with the highest one fits. */
export const slotTableOf = (log: string, slot: number): string =>
  `${changeTable(log) ?? ''}__s${slot.toString(36)}`;

/** The log and slot of such a partition; undefined for any other table. */
export function slotOfTable(table: string): { readonly log: string; readonly slot: number } | undefined {
  const match = /^_log_([a-z][a-z0-9_]{0,39})__v([1-9]\d{0,5})__s([0-9a-z]{1,6})$/.exec(table);
  return match ? { log: `${match[1]}.v${match[2]}`, slot: Number.parseInt(match[3] ?? '', 36) } : undefined;
}

/** The partition of a projection version's change log for one slot. */
export const slotTable = (projection: Versioned, slot: number): string =>
  slotTableOf(changeLogOf(projection), slot);

/**
 * The function that writes a batch. Its number changes with its signature, so that older processes keep theirs: `_apply3_`
 * does not ask whether the events are in Postgres, and those who call it read them there.
 */
export const applyFunction = (projection: Versioned): string => `_apply4_${readModelTable(projection)}`;

/** What processes of Tidemark 0.1 call. */
export const formerApplyFunction = (projection: Versioned): string => `_apply2_${readModelTable(projection)}`;

/** An index over some columns; the same columns give the same name. */
export function indexName(projection: Versioned, columns: readonly string[]): string {
  const name = `_ix_${readModelTable(projection)}__${columns.join('_')}`;
  if (name.length <= MAX_NAME) return name;
  const hash = createHash('sha256').update(columns.join(',')).digest('hex').slice(0, 8);
  return `${name.slice(0, MAX_NAME - 9)}_${hash}`;
}
