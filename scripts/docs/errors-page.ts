/** `docs/errors.md`, from the catalogues in src/: what the page says is what the code gives out. */
import { format } from 'prettier';
import { OPERATOR_ERRORS, type OperatorError } from '../../src/platform/operator-errors.js';
import { CLOSE_CODES, RESET_REASONS, SOCKET_ERRORS } from '../../src/protocol/frames.js';
import { PROBLEM_TYPE_PREFIX, PROBLEMS, problemOf } from '../../src/protocol/problems.js';

export const ERRORS_PAGE = 'docs/errors.md';

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

const code = (text: string): string => `\`${text}\``;

/** By status, then by name: whoever looks one up has one of the two. */
function problems(): string {
  const rows = Object.entries(PROBLEMS)
    .sort(([a, one], [b, other]) => one.status - other.status || (a < b ? -1 : 1))
    .map(([name, { status, title, advice }]) => [String(status), code(name), title, advice]);
  return table(['status', 'code', 'meaning', 'what to do'], rows);
}

function operatorErrors(seen: OperatorError['seen']): string {
  const rows = Object.entries(OPERATOR_ERRORS)
    .filter(([, entry]) => entry.seen === seen)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { title, advice }]) => [code(name), title, advice]);
  return table(['code', 'meaning', 'what to do'], rows);
}

function socketErrors(): string {
  const rows = Object.entries(SOCKET_ERRORS).map(([name, { message }]) => [code(name), message]);
  return table(['code', 'meaning'], rows);
}

const resetReasons = (): string =>
  table(
    ['reason', 'meaning'],
    Object.entries(RESET_REASONS).map(([name, meaning]) => [code(name), meaning]),
  );

const closeCodes = (): string =>
  table(
    ['code', 'reason', 'meaning'],
    Object.entries(CLOSE_CODES).map(([name, entry]) => [String(entry.code), code(name), entry.meaning]),
  );

const EXAMPLE = {
  ...problemOf('invalid_payload', 'the payload does not fit order.place'),
  errors: [{ path: '/customerId', message: 'expected a text that is not blank' }],
};

const PAGE =
  (): string => `<!-- Made by "npm run docs" from the catalogues in src/; a test compares. Change those, not this. -->

# Errors

Every code that a server or the command line gives out; those that [the client](client.md#errors) adds of its own stand there. A code keeps its meaning; texts beside it may change, so switch on the code.

## HTTP

An error answer is [problem+json](https://www.rfc-editor.org/rfc/rfc9457) (\`application/problem+json\`). \`type\` is \`${PROBLEM_TYPE_PREFIX}\` and the code,
\`title\` is the same for every occurrence, \`detail\` says more about this one. \`errors\` lists the faults of the input, each with a JSON Pointer into the body
(or to the parameter, or the header). An answer may have members of its own, such as the \`version\` that a stream is at.

\`\`\`json
${JSON.stringify(EXAMPLE)}
\`\`\`

- 429 and 503 have a \`Retry-After\` header (seconds).
- 500 says nothing about the cause. It names the \`requestId\`, under which the log has it.
- A command may be sent again after any answer or none: with an \`Idempotency-Key\` it is carried out once.

${problems()}

### Rejections of commands

A command that the domain rejects is answered with a \`code\` of the domain's own: 409, or 404 or 422 where the rejection says so (\`reject(code, { as })\`).
\`title\` is "The command was rejected". Such codes stand in the application, not here.

## Realtime socket

What each frame is for stands in the [WebSocket reference](websocket.md).

### \`err\`

${socketErrors()}

### \`reset\`

The rows of the subscription no longer hold; a new snapshot follows.

${resetReasons()}

### Close codes

4000–4499 mean come back, 4500 and up mean don't.

${closeCodes()}

## Starting, and the command line

These end a start or a command with exit code 1 and their message on standard error, which has the names and numbers (a line for every wrong variable). Beside them,
\`database_unavailable\` of the list above is told in the same way, when the database cannot be reached.

${operatorErrors('start')}

## In the log

An error in a log line stands under \`err\`, with its \`code\`. Beside codes of the lists above there are:

${operatorErrors('log')}
`;

/** The page as it stands in the repository: formatted as everything else. */
export const errorsPage = (options: object): Promise<string> =>
  format(PAGE(), { ...options, parser: 'markdown' });
