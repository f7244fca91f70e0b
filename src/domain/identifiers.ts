/** The rules for names (definitions) and ids (data). Limits are of DESIGN §4. */
import { z } from 'zod';
import { DefinitionError } from './errors.js';

const NAME = /^[a-z][a-z0-9_]{0,39}$/;
const FIELD = /^[a-z][a-zA-Z0-9_]{0,39}$/;
const TYPE = /^[A-Za-z][A-Za-z0-9_]{0,79}$/;
/** Query parameters of the HTTP contract, which a field’s filter would collide with. */
export const RESERVED_FIELDS: readonly string[] = ['sort', 'limit', 'page', 'after', 'wait'];
export const MAX_ID_CODE_POINTS = 200;
/** An event or a row holds at most this many bytes of JSON (Kafka’s default record limit is 1 MiB). */
export const MAX_JSON_BYTES = 512 * 1024;

export function checkName(kind: string, name: string): void {
  if (!NAME.test(name)) {
    throw new DefinitionError(`${kind} name ${JSON.stringify(name)}: expected ${NAME.source}`);
  }
}

export function checkFieldName(where: string, name: string): void {
  if (!FIELD.test(name))
    throw new DefinitionError(`${where}: field ${JSON.stringify(name)}: expected ${FIELD.source}`);
  if (RESERVED_FIELDS.includes(name)) {
    throw new DefinitionError(
      `${where}: field "${name}" collides with a query parameter; reserved are ${RESERVED_FIELDS.join(', ')}`,
    );
  }
}

export function checkTypeName(where: string, name: string): void {
  if (!TYPE.test(name))
    throw new DefinitionError(`${where}: ${JSON.stringify(name)}: expected ${TYPE.source}`);
}

// eslint-disable-next-line no-control-regex -- control characters are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/**
 * Why `text` cannot be a stream id or row key, or undefined when it can: 1–200 code points, not blank, no control
 * characters, no unpaired surrogates. Ids are never normalised.
 */
export function idFault(text: string): string | undefined {
  if (text.trim() === '') return 'expected a text that is not blank';
  if (!text.isWellFormed()) return 'expected no unpaired surrogates';
  if (CONTROL.test(text)) return 'expected no control characters';
  if (text.length > MAX_ID_CODE_POINTS && [...text].length > MAX_ID_CODE_POINTS) {
    return `expected at most ${MAX_ID_CODE_POINTS} code points`;
  }
  return undefined;
}

/** Schema of a text that follows the rule for stream ids and row keys. */
export const idText = () =>
  z
    .string()
    .max(MAX_ID_CODE_POINTS * 2)
    .superRefine((text, context) => {
      const fault = idFault(text);
      if (fault !== undefined) context.addIssue({ code: 'custom', message: fault });
    })
    .meta({ minLength: 1, maxLength: MAX_ID_CODE_POINTS });
