/** Codes, reset reasons and close codes stand in one catalogue, and each of them is given out somewhere. */
import { readdir, readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { CLOSE_CODES, RESET_REASONS, SOCKET_ERRORS, UNSUB_REASONS } from '../../../src/protocol/frames.js';

const room = new URL('../../../src/realtime/', import.meta.url);

describe('the catalogue of the socket', () => {
  it.each([
    ['error', SOCKET_ERRORS],
    ['reset reason', RESET_REASONS],
    ['close reason', CLOSE_CODES],
    ['reason of an ended subscription', UNSUB_REASONS],
  ])('lists no %s that is never given out', async (_kind, entries) => {
    const files = (await readdir(room, { recursive: true })).filter((name) => name.endsWith('.ts'));
    const source = (await Promise.all(files.map((name) => readFile(new URL(name, room), 'utf8')))).join('\n');
    const unused = Object.keys(entries).filter(
      (code) => !source.includes(`'${code}'`) && !source.includes(`CLOSE_CODES.${code}`),
    );
    expect(unused).toEqual([]);
  });

  it('stands in the docs, whole', async () => {
    const docs = await readFile(new URL('../../../docs/websocket.md', import.meta.url), 'utf8');
    const listed = (heading: string): string[] => {
      const section = docs.split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
      return [...section.matchAll(/^\|(?: \d+\s*\|)? `(\w+)`/gm)].map(([, code]) => code ?? '').sort();
    };
    expect(listed('Resets')).toEqual(Object.keys(RESET_REASONS).sort());
    expect(listed('Ended subscriptions')).toEqual(Object.keys(UNSUB_REASONS).sort());
    expect(listed('Errors')).toEqual(Object.keys(SOCKET_ERRORS).sort());
    expect(listed('Close codes')).toEqual(Object.keys(CLOSE_CODES).sort());
    for (const { code } of Object.values(CLOSE_CODES)) expect(docs).toContain(`| ${code}`);
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
