/** Codes that clients and operators switch on: every one thrown is listed, every one listed is used. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { OPERATOR_ERRORS } from '../../../src/platform/operator-errors.js';
import { CLOSE_CODES, RESET_REASONS, SOCKET_ERRORS } from '../../../src/protocol/frames.js';
import { isProblemCode, PROBLEMS } from '../../../src/protocol/problems.js';

const SRC = new URL('../../../src/', import.meta.url);
/** Where codes are only listed: what OpenAPI says may come is not what is given out. */
const LISTS = /(^|\/)(protocol\/(problems|frames|openapi)|platform\/operator-errors|operations|openapi)\.ts$/;
const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && !LISTS.test(file))
  .map((file) => ({ file, text: readFileSync(new URL(file, SRC), 'utf8') }));
const everything = files.map(({ text }) => text).join('\n');
const mentioned = (code: string): boolean => new RegExp(`['.]${code}\\b`).test(everything);

describe('problems', () => {
  const thrown = files.flatMap(({ file, text }) =>
    [...text.matchAll(/new (?:Tidemark|Domain)Error\(\s*'([^']+)'/g)].map(([, code]) => ({
      file,
      code: code ?? '',
    })),
  );

  test('the scan sees what is thrown', () => {
    expect(thrown.map(({ code }) => code)).toEqual(
      expect.arrayContaining(['invalid_payload', 'schema_too_new', 'invalid_row']),
    );
  });

  test('every code that is thrown stands in a catalogue', () => {
    expect(
      thrown.filter(({ code }) => !isProblemCode(code) && !Object.hasOwn(OPERATOR_ERRORS, code)),
    ).toEqual([]);
  });

  test('every code that is listed is used, and in one catalogue only', () => {
    const problems = Object.keys(PROBLEMS);
    const operators = Object.keys(OPERATOR_ERRORS);
    expect([...problems, ...operators].filter((code) => !mentioned(code))).toEqual([]);
    expect(operators.filter(isProblemCode)).toEqual([]);
  });

  test.each(Object.entries(PROBLEMS))('%s', (code, { status, title, advice }) => {
    expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(600);
    expect(title).toMatch(/^[A-Z].*[^.]$/);
    expect(advice).toMatch(/\.$/);
  });

  test('names of every object are no codes', () => {
    for (const name of ['constructor', 'toString', '__proto__', 'hasOwnProperty']) {
      expect(isProblemCode(name)).toBe(false);
    }
  });
});

describe('socket', () => {
  test.each([
    ['errors', Object.keys(SOCKET_ERRORS)],
    ['reset reasons', Object.keys(RESET_REASONS)],
    ['close codes', Object.keys(CLOSE_CODES)],
  ])('every one of the %s is used', (_name, codes) => {
    expect(codes.filter((code) => !mentioned(code))).toEqual([]);
  });

  test('close codes: each once; below 4500 means come back', () => {
    const codes = Object.values(CLOSE_CODES);
    expect(new Set(codes.map(({ code }) => code)).size).toBe(codes.length);
    for (const { code, meaning } of codes) {
      expect(code).toBeGreaterThanOrEqual(4000);
      expect(code).toBeLessThan(5000);
      expect(meaning.includes('come back')).toBe(code < 4500);
    }
  });

  test('an error that closes names a close code that there is', () => {
    const known: readonly (number | null)[] = [null, ...Object.values(CLOSE_CODES).map(({ code }) => code)];
    for (const { closes } of Object.values(SOCKET_ERRORS)) expect(known).toContain(closes);
  });
});
