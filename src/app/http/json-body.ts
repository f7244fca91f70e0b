/** The one body parser: JSON in UTF-8, without keys that poison prototypes; an empty body is `{}`. */
import { isUtf8 } from 'node:buffer';
import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import sjson from 'secure-json-parse';
import { TidemarkError } from '../../platform/errors.js';

const UTF8_NAMES = /^(utf-?8|us-ascii)$/i;

const invalid = (message: string, path = ''): TidemarkError =>
  new TidemarkError('invalid_json', message, { faults: [{ path, message }] });

/**
 * JSON Pointer of the first key that would poison a prototype: `__proto__`, or `constructor` with a `prototype`.
 * Walks with a stack of its own, as a megabyte of brackets is deeper than the call stack.
 */
function findPoison(root: unknown): string | undefined {
  const open: [value: unknown, path: string][] = [[root, '']];
  for (let top = open.pop(); top; top = open.pop()) {
    const [value, path] = top;
    if (typeof value !== 'object' || value === null) continue;
    for (const [name, inner] of Object.entries(value)) {
      const here = `${path}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
      const poisonous =
        name === '__proto__' ||
        (name === 'constructor' &&
          typeof inner === 'object' &&
          inner !== null &&
          Object.hasOwn(inner, 'prototype'));
      if (poisonous) return here;
      open.push([inner, here]);
    }
  }
  return undefined;
}

/** @throws TidemarkError `invalid_json` */
function parseJsonBody(bytes: Buffer): unknown {
  if (bytes.length === 0) return {};
  if (!isUtf8(bytes)) throw invalid('the body is not UTF-8');
  const text = bytes.toString('utf8').replace(/^\uFEFF/, '');
  if (text === '') return {};
  try {
    return sjson.parse(text, null, { protoAction: 'error', constructorAction: 'error' });
  } catch (error) {
    const poison = /^[^]*(__proto__|constructor|\\u)/.test(text) ? poisonIn(text) : undefined;
    if (poison !== undefined) throw invalid('this key is not allowed', poison);
    throw invalid(error instanceof SyntaxError ? placeOf(error.message) : 'the body is not JSON');
  }
}

function poisonIn(text: string): string | undefined {
  try {
    return findPoison(JSON.parse(text));
  } catch {
    return undefined; // it is not JSON at all, which the caller says
  }
}

/** V8 quotes the body in its message; only the place is told. */
function placeOf(message: string): string {
  const place = /at position \d+(?: \(line \d+ column \d+\))?/.exec(message)?.[0];
  return place === undefined
    ? 'the body ends before its JSON value does, or is not JSON'
    : `not JSON ${place}`;
}

function checkMediaType(request: FastifyRequest): void {
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new TidemarkError('unsupported_media_type', 'the body must not be compressed (Content-Encoding)');
  }
  const charset = /;\s*charset\s*=\s*"?([^";\s]*)/i.exec(request.headers['content-type'] ?? '')?.[1];
  if (charset !== undefined && !UTF8_NAMES.test(charset)) {
    throw new TidemarkError('unsupported_media_type', 'the body must be in UTF-8 (charset)');
  }
}

/**
 * A body that is not announced as JSON: 415 as soon as there is any of it. Clients that send an empty one name some type
 * all the same (`curl -d ''`), and an empty body is `{}` whatever it is called.
 */
function emptyOrRefused(payload: Readable, done: (error: Error | null, body?: unknown) => void): void {
  const settle = (error: Error | null): void => {
    payload.off('data', refuse).off('end', accept).off('error', settle);
    done(error, {});
  };
  const accept = (): void => settle(null);
  const refuse = (): void =>
    settle(
      new TidemarkError('unsupported_media_type', 'the body must be JSON (Content-Type: application/json)'),
    );
  payload.on('data', refuse).on('end', accept).on('error', settle);
}

/** Puts the parser in place of fastify’s own; any other media type is 415. */
export function useJsonBodies(server: FastifyInstance): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    try {
      if (body.length > 0) checkMediaType(request);
      done(null, parseJsonBody(Buffer.isBuffer(body) ? body : Buffer.from(body)));
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)));
    }
  });
  server.addContentTypeParser('*', (_request, payload, done) => emptyOrRefused(payload, done));
  server.addHook('preValidation', (request, _reply, done) => {
    if (request.body === undefined && request.method === 'POST') request.body = {};
    done();
  });
}
