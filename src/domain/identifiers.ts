/** The rules for names (definitions) and ids (data). Limits are of DESIGN §4. */
import { z } from 'zod';
import { DefinitionError } from './errors.js';

const NAME = /^[a-z][a-z0-9_]{0,39}$/;
const FIELD = /^[a-z][a-zA-Z0-9_]{0,39}$/;
const TYPE = /^[A-Za-z][A-Za-z0-9_]{0,79}$/;
/** Query parameters of views, which a field’s filter would collide with. */
const RESERVED_FIELDS: readonly string[] = ['sort', 'limit', 'page', 'after', 'wait'];
/** Query parameters of named queries, which an input’s field would collide with. */
export const RESERVED_QUERY_FIELDS: readonly string[] = ['after', 'wait'];
/** Columns that every Postgres table has already. */
const SYSTEM_COLUMNS: readonly string[] = ['ctid', 'xmin', 'xmax', 'cmin', 'cmax', 'tableoid'];
/** Tidemark’s own tables, beside which a projection’s view stands; a test compares the list with `migrations/`. */
export const OWN_TABLES: readonly string[] = [
  'builds',
  'change_slots',
  'changes',
  'checkpoints',
  'events',
  'idempotency_keys',
  'leases',
  'members',
  'migrations',
  'outbox_cursors',
  'parked',
  'parked_events',
  'parked_order',
  'projection_stops',
  'projections',
  'relay_cursors',
  'relay_epochs',
  'relay_state',
  'serving',
  'settings',
  'shards',
  'snapshots',
];
export const MAX_ID_CODE_POINTS = 200;
/** An event or a row holds at most this many bytes of JSON (Kafka’s default record limit is 1 MiB). */
export const MAX_JSON_BYTES = 512 * 1024;

function checkPattern(where: string, name: string, pattern: RegExp): void {
  if (typeof name !== 'string' || !pattern.test(name))
    throw new DefinitionError(`${where} ${JSON.stringify(name)}: expected ${pattern.source}`);
  // `constructor` and its like are found on every object, so that a look-up by name would find what is not there.
  if (name in Object.prototype)
    throw new DefinitionError(`${where} "${name}": expected a name that objects do not have of themselves`);
}

export function checkName(kind: string, name: string): void {
  checkPattern(`${kind} name`, name, NAME);
}

/** A projection’s name (or a table’s of one) is also that of a view in Postgres, beside Tidemark’s tables and those of others. */
export function checkProjectionName(name: string, kind = 'projection'): void {
  checkName(kind, name);
  if (OWN_TABLES.includes(name) || /^changes_|__v\d+$/.test(name)) {
    throw new DefinitionError(
      `${kind} name "${name}" collides with a table; reserved are ${OWN_TABLES.join(', ')}, changes_… and …__v<number>`,
    );
  }
}

export function checkFieldName(where: string, name: string): void {
  checkPattern(`${where}: field`, name, FIELD);
  if (RESERVED_FIELDS.includes(name)) {
    throw new DefinitionError(
      `${where}: field "${name}" collides with a query parameter; reserved are ${RESERVED_FIELDS.join(', ')}`,
    );
  }
  if (SYSTEM_COLUMNS.includes(name))
    throw new DefinitionError(
      `${where}: field "${name}" collides with a column that Postgres gives every table`,
    );
}

export function checkTypeName(where: string, name: string): void {
  checkPattern(where, name, TYPE);
}

// eslint-disable-next-line no-control-regex -- control characters are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/**
 * Why `text` cannot be a stream id or row key, or undefined when it can: 1–200 code points, not blank, no control
 * characters, no unpaired surrogates. Ids are never normalised.
 */
export function idFault(text: string): string | undefined {
  // A code point has at most two code units, so a long text is refused without a look at it.
  const tooLong =
    text.length > MAX_ID_CODE_POINTS &&
    (text.length > MAX_ID_CODE_POINTS * 2 || [...text].length > MAX_ID_CODE_POINTS);
  if (tooLong) return `expected at most ${MAX_ID_CODE_POINTS} code points`;
  if (!text.isWellFormed()) return 'expected no unpaired surrogates';
  if (CONTROL.test(text)) return 'expected no control characters';
  return text.trim() === '' ? 'expected a text that is not blank' : undefined;
}

/** Actors of Tidemark’s own (inbound/handling.ts): nobody else may sign, or use up idempotency keys, in their name. */
const RESERVED_ACTOR = /^inbound:/;

/** Why `id` cannot be a principal’s, or undefined when it can. */
export const principalFault = (id: string): string | undefined =>
  idFault(id) ?? (RESERVED_ACTOR.test(id) ? 'expected an id that is not reserved (inbound:…)' : undefined);

/** Schema of a text that follows the rule for stream ids and row keys. */
export const idText = () =>
  z
    .string()
    .superRefine((text, context) => {
      const fault = idFault(text);
      if (fault !== undefined) context.addIssue({ code: 'custom', message: fault });
    })
    .meta({ minLength: 1, maxLength: MAX_ID_CODE_POINTS });
