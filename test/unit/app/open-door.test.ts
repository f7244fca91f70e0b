/** What a start says of a page that would not be there, or could do nothing. */
import { expect, it } from 'vitest';
import { loadConfig } from '../../../src/app/config.js';
import { warnOfPage } from '../../../src/app/open-door.js';

function warnings(env: Record<string, string>): readonly string[] {
  const told: string[] = [];
  warnOfPage(loadConfig(env), { warn: (_about: unknown, text?: string) => void told.push(text ?? '') });
  return told;
}

it('names the variable to set where others can open the page', () => {
  expect(warnings({ HOST: '0.0.0.0', PORT: '8080' })).toEqual([
    expect.stringMatching(/set TIDEMARK_ORIGINS to .*:8080/),
  ]);
  expect(warnings({ HOST: '0.0.0.0', TIDEMARK_ORIGINS: 'loopback' })).toHaveLength(1);
  expect(warnings({ HOST: '0.0.0.0', TIDEMARK_ORIGINS: 'https://shop.example' })).toEqual([]);
  for (const HOST of ['127.0.0.1', 'localhost', '::1']) expect(warnings({ HOST })).toEqual([]);
});

it('says that a process without the role api serves none', () => {
  expect(warnings({ TIDEMARK_ROLES: 'gateway,relay' })).toEqual([expect.stringContaining('role api')]);
});
