/** The guides' TypeScript: the blocks of a page are one program that compiles and runs. */
import { afterAll, expect, test } from 'vitest';
import { blocksOf } from '../../support/docs/blocks.js';
import { programOf, type Program } from '../../support/docs/program.js';

const programs: Program[] = [];
afterAll(async () => {
  await Promise.all(programs.map((program) => program.remove()));
});

test.each(['docs/write-side.md', 'docs/read-side.md', 'docs/rights.md'])('%s', async (page) => {
  const blocks = (await blocksOf(page)).filter(({ language }) => language === 'ts');
  expect(blocks.length).toBeGreaterThan(1);
  const program = await programOf(blocks.map(({ text }) => text).join('\n'));
  programs.push(program);
  expect(await program.compile()).toEqual({ code: 0, output: '' });
  expect(await program.run()).toMatchObject({ code: 0 });
});
