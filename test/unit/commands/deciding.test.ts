/** A decision becomes events as they are stored, within bounds, and the state is folded of what is stored. */
import { z } from 'zod';
import { describe, expect, it } from 'vitest';
import { aggregate, event } from '../../../src/index.js';
import { measuredState } from '../../../src/commands/aggregate-cache.js';
import { decideOn } from '../../../src/commands/deciding.js';
import { findValueFault } from '../../../src/commands/json-data.js';
import { commandOptions } from '../../../src/commands/options.js';
import { foldFingerprint, snapshotText } from '../../../src/commands/snapshots.js';

const State = z.object({ seen: z.array(z.unknown()), last: z.string() });

const Box = aggregate('box', {
  state: State,
  initial: { seen: [], last: '' },
  events: {
    Put: event(z.object({ what: z.any() }), { upcasters: [(data: { what: unknown }) => data] }),
    Named: z.object({ name: z.string() }),
  },
  commands: {
    put: z.object({ what: z.any() }),
    name: z.object({ names: z.array(z.string()) }),
    refuse: z.object({}),
    spoil: z.object({}),
    oddTag: z.object({}),
  },
  tags: (state) => ({ last: state.last }),
})
  .evolve({
    Put: (state, { data }) => ({ ...state, seen: [...state.seen, data.what] }),
    Named: (state, { data }) => ({ ...state, last: data.name }),
  })
  .decide({
    put: (_state, input, { emit }) => emit('Put', { what: input.what }),
    name: (_state, input, { emit }) => input.names.map((name) => emit('Named', { name })),
    refuse: (_state, _input, { reject }) => reject('no_way', { as: 'not_found', detail: 'because' }),
    spoil: (state) => {
      state.seen.push('spoilt');
      return [];
    },
    oddTag: (_state, _input, { emit }) => emit('Named', { name: 'x'.repeat(20_000) }),
  });

const metadata = { correlationId: 'c', causationId: 'c', actor: 'anonymous' };
const start = () => measuredState(Box.initial, 0, 0);

const decide = (command: string, input: unknown, settings = {}, on = start()) =>
  decideOn(
    { aggregate: Box, streamId: 's', command, input, permit: undefined, metadata },
    on,
    undefined,
    commandOptions.parse(settings),
  );

function codeOf(verdict: ReturnType<typeof decide>): string {
  return verdict.kind === 'refused' ? verdict.error.code : 'accepted';
}

describe('decideOn', () => {
  it('writes events down with versions, tags of the state after each, and metadata', () => {
    const verdict = decide('name', { names: ['a', 'b'] });
    if (verdict.kind !== 'accepted') throw verdict.error;
    expect(
      verdict.events.map(({ type, data, tags, schemaVersion }) => [type, data, tags, schemaVersion]),
    ).toEqual([
      ['Named', '{"name":"a"}', { last: 'a' }, 1],
      ['Named', '{"name":"b"}', { last: 'b' }, 1],
    ]);
    expect(verdict.state).toEqual({ seen: [], last: 'b' });
    expect(verdict.events.every((one) => one.metadata === metadata)).toBe(true);
    expect(new Set(verdict.events.map((one) => one.eventId)).size).toBe(2);
    const put = decide('put', { what: 1 });
    expect(put.kind === 'accepted' && put.events[0]?.schemaVersion).toBe(2);
  });

  it('folds what is stored, not what was emitted', () => {
    const shared = { zero: -0, list: [1] };
    const verdict = decide('put', { what: shared });
    if (verdict.kind !== 'accepted') throw verdict.error;
    const { seen } = State.parse(verdict.state);
    expect(seen).toEqual([{ zero: 0, list: [1] }]);
    shared.list.push(2);
    expect(seen).toEqual([{ zero: 0, list: [1] }]);
  });

  it('refuses with the code of the rejection', () => {
    const verdict = decide('refuse', {});
    if (verdict.kind !== 'refused') throw new Error('accepted');
    expect(verdict.error).toMatchObject({ code: 'no_way', rejection: 'not_found', message: 'because' });
  });

  it('refuses events over their limits, in UTF-8 bytes', () => {
    const limit = 512 * 1024;
    const of = (bytes: number) => decide('put', { what: 'x'.repeat(bytes - '{"what":""}'.length) });
    expect(codeOf(of(limit))).toBe('accepted');
    expect(codeOf(of(limit + 1))).toBe('event_too_large');
    expect(codeOf(decide('put', { what: '€'.repeat(limit / 3) }))).toBe('event_too_large');
    expect(codeOf(decide('oddTag', {}))).toBe('event_too_large');
    expect(codeOf(decide('name', { names: ['a', 'b'] }, { maxEventsPerCommand: 1 }))).toBe('event_too_large');
    expect(codeOf(decide('name', { names: ['a', 'b'] }, { maxBytesPerCommand: 20 }))).toBe('event_too_large');
  });

  it('a bug of the domain is internal, and leaves the state as it was', () => {
    const on = start();
    expect(codeOf(decide('spoil', {}, {}, on))).toBe('internal_error');
    expect(on.state).toEqual({ seen: [], last: '' });
    for (const what of [NaN, new Date(0), 1n, () => 1])
      expect(codeOf(decide('put', { what }))).toBe('internal_error');
  });
});

describe('findValueFault', () => {
  it('says where', () => {
    const loop: Record<string, unknown> = {};
    loop['self'] = loop;
    expect(findValueFault({ a: [{ 'b/c': Infinity }] })?.path).toBe('/a/0/b~1c');
    expect(findValueFault({ a: undefined, b: null, c: 'x', d: [1, true] })).toBeUndefined();
    expect(findValueFault(loop)?.message).toContain('levels');
    expect(findValueFault(new Map())?.path).toBe('');
  });
});

describe('snapshots', () => {
  it('are only of states that their schema gives back whole', () => {
    expect(snapshotText(Box, { seen: [1], last: 'x' })).toBe('{"seen":[1],"last":"x"}');
    expect(snapshotText(Box, { seen: [], last: 'x', extra: 1 })).toBeUndefined();
    expect(snapshotText(Box, { seen: [] })).toBeUndefined();
    expect(snapshotText(Box, undefined)).toBeUndefined();
  });

  it('are bound to what folded them', () => {
    const make = (more: { initial?: number; upcast?: boolean; fold?: number }) =>
      foldFingerprint(
        aggregate('a', {
          state: z.object({ n: z.int() }),
          initial: { n: more.initial ?? 0 },
          events: { E: event(z.object({}), { upcasters: more.upcast ? [() => ({})] : [] }) },
          commands: {},
        })
          .evolve(more.fold ? { E: (state) => ({ n: state.n + 2 }) } : { E: (state) => ({ n: state.n + 1 }) })
          .decide({}),
      );
    expect(make({})).toBe(make({}));
    expect(new Set([make({}), make({ initial: 1 }), make({ upcast: true }), make({ fold: 2 })]).size).toBe(4);
  });
});
