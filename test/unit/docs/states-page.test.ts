/** The guide to changing a read model tells every state there is. */
import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { PROJECTION_STATES } from '../../../src/projections/states.js';

it('the table of states has them all, in their order', async () => {
  const page = await readFile(new URL('../../../docs/changing-read-models.md', import.meta.url), 'utf8');
  const section = page.slice(page.indexOf('### States'), page.indexOf('## What clients see'));
  expect([...section.matchAll(/^\| `(\w+)`/gm)].map(([, state]) => state)).toEqual([...PROJECTION_STATES]);
});
