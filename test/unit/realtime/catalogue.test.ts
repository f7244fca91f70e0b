/** Codes, reset reasons and close codes stand in one catalogue, and each of them is given out somewhere. */
import { readdir, readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { CLOSE_CODES, RESET_REASONS, SOCKET_ERRORS } from '../../../src/protocol/frames.js';

const room = new URL('../../../src/realtime/', import.meta.url);

describe('the catalogue of the socket', () => {
  it.each([
    ['error', SOCKET_ERRORS],
    ['reset reason', RESET_REASONS],
    ['close reason', CLOSE_CODES],
  ])('lists no %s that is never given out', async (_kind, entries) => {
    const files = (await readdir(room, { recursive: true })).filter((name) => name.endsWith('.ts'));
    const source = (await Promise.all(files.map((name) => readFile(new URL(name, room), 'utf8')))).join('\n');
    const unused = Object.keys(entries).filter(
      (code) => !source.includes(`'${code}'`) && !source.includes(`CLOSE_CODES.${code}`),
    );
    expect(unused).toEqual([]);
  });

  it('has close codes below 4500 for those who may come back, and each once', () => {
    const codes = Object.values(CLOSE_CODES).map(({ code }) => code);
    expect(new Set(codes).size).toBe(codes.length);
    for (const { code, meaning } of Object.values(CLOSE_CODES)) {
      expect(code).toBeGreaterThanOrEqual(4000);
      expect(code < 4500).toBe(meaning.toLowerCase().includes('come back'));
    }
  });
});
