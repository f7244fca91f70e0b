/** One event that makes a thousand rows, and one that changes a column in all of them, as live subscribers see them. */
import { aggregate, defineApp, projection } from 'tidemark';
import { testApp, type TestApp } from 'tidemark/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';

const Team = aggregate('team', {
  state: z.object({}),
  initial: {},
  events: { Gathered: z.object({ members: z.array(z.string()) }), Renamed: z.object({ name: z.string() }) },
  commands: { gather: z.object({ members: z.array(z.string()) }), rename: z.object({ name: z.string() }) },
})
  .evolve({ Gathered: (state) => state, Renamed: (state) => state })
  .decide({
    gather: (_state, input, { emit }) => emit('Gathered', input),
    rename: (_state, input, { emit }) => emit('Renamed', input),
  });

const Members = projection('team_members', {
  version: 1,
  row: z.object({ member: z.string(), team: z.string(), teamName: z.string().nullable() }),
  key: 'member',
  channels: ['team', 'teamName'],
})
  // Its own aggregate is joined, too.
  .join(Team, {
    by: 'team',
    none: { teamName: null },
    fold: { Renamed: (_part, { data }) => ({ teamName: data.name }) },
  })
  .on(Team, {
    keys: (event) => (event.type === 'Gathered' ? event.data.members : []),
    fold: { Gathered: (_row, { streamId }) => ({ team: streamId }) },
  });

let app: TestApp;
beforeAll(async () => {
  app = await testApp(defineApp({ auth: 'none', name: 'teams', aggregates: [Team], projections: [Members] }));
});
afterAll(() => app.close());

const COUNT = 1_000;

test('all of them are told, to who watches the team, the name and each row', async () => {
  const members = Array.from({ length: COUNT }, (_, n) => `m-${String(n).padStart(4, '0')}`);
  const team = await app.subscribe(Members, { where: { team: 't-1' } });
  const unnamed = await app.subscribe(Members, { where: { teamName: null } });
  const named = await app.subscribe(Members, { where: { teamName: 'Reds' } });
  const last = await app.subscribe(Members, { key: 'm-0999' });
  await app.execute(Team, 't-1', 'gather', { members });
  await team.until((rows) => rows.size === COUNT);
  await unnamed.until((rows) => rows.size === COUNT);
  await app.execute(Team, 't-1', 'rename', { name: 'Reds' });
  const rows = await team.until((now) => [...now.values()].every(({ teamName }) => teamName === 'Reds'));
  expect([...rows.keys()].toSorted()).toEqual(members);
  await named.until((now) => now.size === COUNT);
  await unnamed.until((now) => now.size === 0);
  await last.until((now) => now.get('m-0999')?.teamName === 'Reds');
  expect(await app.row(Members, 'm-0000')).toEqual({ member: 'm-0000', team: 't-1', teamName: 'Reds' });
});
