/** How a command that failed says so: one line on standard error, with the code that stands in docs/errors.md. */
import { DefinitionError, DomainError } from '../domain/errors.js';
import { isTidemarkError, messageOf } from '../platform/errors.js';
import { isTimeout, isUnavailable } from '../platform/postgres/sqlstate.js';

/** The code of anything that was thrown; `internal_error` where nobody foresaw it. */
function codeOf(thrown: unknown): string {
  if (isTidemarkError(thrown) || thrown instanceof DomainError || thrown instanceof DefinitionError)
    return thrown.code;
  if (isUnavailable(thrown)) return 'database_unavailable';
  return isTimeout(thrown) ? 'query_timeout' : 'internal_error';
}

/** `tidemark: <message> [<code>]`; a message of several lines has the code behind its last one. */
const failureLine = (message: string, code: string): string => `tidemark: ${message} [${code}]`;

/** A failure of ours is a line or two; one that nobody foresaw shows its stack where somebody debugs. */
export function tellFailure(thrown: unknown): void {
  const code = codeOf(thrown);
  console.error(failureLine(messageOf(thrown), code));
  if (process.env['LOG_LEVEL'] === 'debug' || process.env['LOG_LEVEL'] === 'trace') console.error(thrown);
  else if (code === 'internal_error') console.error('(LOG_LEVEL=debug shows where this comes from)');
}

/** What commander says of wrong arguments (`error: unknown command 'x'`, perhaps with a guess below), as one such line. */
export const argumentsLine = (text: string): string =>
  `${failureLine(
    text
      .replace(/^error: /, '')
      .trim()
      .replaceAll(/\s*\n\s*/g, ' '),
    'invalid_arguments',
  )}\n`;
