/**
 * Answers requests that never became one: what Node's HTTP parser refuses, CONNECT, and requests that do not end.
 * The answer is written to the bare socket, in the same shape as every other.
 */
import { STATUS_CODES, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ProblemCode } from '../../protocol/problems.js';
import { PROBLEM_MEDIA_TYPE, problemFor, type ProblemAnswer } from './problem-answers.js';
import { MAX_URL_CHARS } from './limits.js';
import type { RouteTable } from './route-table.js';

interface ParserError {
  readonly code?: unknown;
  /** The piece of input that the parser stopped in. */
  readonly rawPacket?: unknown;
}

/** llhttp's codes: https://github.com/nodejs/llhttp#error-codes */
const PARSER_CODES: Readonly<Record<string, ProblemCode>> = {
  HPE_INVALID_URL: 'invalid_url',
  HPE_INVALID_HEADER_TOKEN: 'invalid_header',
  HPE_INVALID_CONTENT_LENGTH: 'invalid_header',
  HPE_UNEXPECTED_CONTENT_LENGTH: 'invalid_header',
  HPE_INVALID_TRANSFER_ENCODING: 'invalid_header',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 'payload_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
};

/**
 * The parser counts the request line among the headers. It is the URL that is too long where the line did not end in what
 * was read, or ended beyond what a URL may have.
 */
function isLongTarget(input: string): boolean {
  const target = /^[A-Z]+ (\S*)/.exec(input);
  return target !== null && (target[0].length === input.length || (target[1] ?? '').length > MAX_URL_CHARS);
}

function answerFor(error: ParserError, routes: RouteTable): { answer: ProblemAnswer; allow?: string } {
  const input = Buffer.isBuffer(error.rawPacket) ? error.rawPacket.toString('latin1') : '';
  const code = typeof error.code === 'string' ? error.code : '';
  if (code === 'HPE_HEADER_OVERFLOW') {
    return { answer: problemFor(isLongTarget(input) ? 'url_too_long' : 'header_fields_too_large') };
  }
  const [, method, target] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\S+) HTTP\/1\.[01]\r?\n/.exec(input) ?? [];
  if (code === 'HPE_INVALID_METHOD' && method !== undefined && target !== undefined) {
    const methods = routes.allowed(target);
    return methods.length === 0
      ? { answer: problemFor('route_not_found') }
      : { answer: problemFor('method_not_allowed'), allow: methods.join(', ') };
  }
  return { answer: problemFor(PARSER_CODES[code] ?? 'malformed_request') };
}

function write(socket: Duplex, { answer, allow }: { answer: ProblemAnswer; allow?: string }): void {
  const { problem } = answer;
  const body = JSON.stringify(problem);
  const lines = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? 'Error'}`,
    `Content-Type: ${PROBLEM_MEDIA_TYPE}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    ...(allow === undefined ? [] : [`Allow: ${allow}`]),
  ];
  // Destroyed after a while even where the other side never reads or closes.
  const timer = setTimeout(() => socket.destroy(), 1_000);
  timer.unref();
  socket.once('close', () => clearTimeout(timer));
  socket.on('error', () => socket.destroy());
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`);
  // What is still coming is thrown away: closing with unread input would reset the connection before the answer is read.
  socket.resume();
}

/** Makes the handler for `clientError`. */
export function brokenRequestHandler(routes: RouteTable): (error: unknown, socket: Duplex) => void {
  return (error, socket) => {
    const known = typeof error === 'object' && error !== null ? (error as ParserError) : {}; // every field is checked
    if (known.code === 'ECONNRESET' || socket.destroyed || !socket.writable) {
      socket.destroy();
      return;
    }
    write(socket, answerFor(known, routes));
  };
}

/** Node answers an `Expect` that it does not know by itself, without a body; RFC 9110 (10.1.1) lets a server pass it over. */
export function passOverExpectations(server: Server): void {
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) =>
    server.emit('request', request, response),
  );
}

/** Node closes the connection on CONNECT without a word, and hands no request over. */
export function refuseTunnels(server: Server, routes: RouteTable): void {
  server.on('connect', (_request: IncomingMessage, socket: Duplex) =>
    write(socket, { answer: problemFor('method_not_allowed'), allow: routes.allowed('*').join(', ') }),
  );
}
