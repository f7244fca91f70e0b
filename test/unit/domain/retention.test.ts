/** What is kept of change logs, as people write it. */
import { aggregate, DefinitionError, defineApp, projection } from 'tidemark';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { retentionFrom, type RetentionOptions } from '../../../src/domain/retention.js';
import { retentionOf } from '../../../src/projections/trimming/trimmer.js';

const Thing = aggregate('thing', {
  state: z.object({}),
  initial: {},
  events: { Made: z.object({}) },
  commands: {},
})
  .evolve({ Made: (state) => state })
  .decide({});

describe('retention', () => {
  it('is a week and a gigabyte unless told otherwise', () => {
    expect(defineApp({ auth: 'none', name: 'things', aggregates: [Thing] }).changes).toEqual({
      maxAgeMs: 7 * 86_400_000,
      maxBytes: 1_024 ** 3,
    });
  });

  it('reads the units that people write, and false as no bound', () => {
    const of = (changes: RetentionOptions) =>
      defineApp({ auth: 'none', name: 'things', aggregates: [Thing], changes }).changes;
    expect(of({ maxAge: '90s', maxSize: '64KiB' })).toEqual({ maxAgeMs: 90_000, maxBytes: 65_536 });
    expect(of({ maxAge: '30m', maxSize: '512MiB' })).toEqual({
      maxAgeMs: 1_800_000,
      maxBytes: 512 * 1_024 ** 2,
    });
    expect(of({ maxAge: '1.5h', maxSize: '2TiB' })).toEqual({
      maxAgeMs: 5_400_000,
      maxBytes: 2 * 1_024 ** 4,
    });
    expect(of({ maxAge: false, maxSize: false })).toEqual({ maxAgeMs: null, maxBytes: null });
  });

  it('is what the projection says, for all of its versions, else what the application says', () => {
    const view = (name: 'busy' | 'other', changes: RetentionOptions = {}) =>
      projection(name, { version: 3, row: z.object({ id: z.string() }), key: 'id', changes }).on(Thing, {
        fold: { Made: () => ({}) },
      });
    const app = defineApp({
      auth: 'none',
      name: 'things',
      aggregates: [Thing],
      projections: [view('busy', { maxAge: '1h' }), view('other')],
      changes: { maxAge: '2d', maxSize: '2MiB' },
    });
    const of = retentionOf(app);
    const busy = { maxAgeMs: 3_600_000, maxBytes: 2 * 1_024 ** 2 };
    expect(of('busy.v3')).toEqual(busy);
    expect(of('busy.v2')).toEqual(busy);
    for (const log of ['other.v3', 'gone.v1']) expect(of(log)).toEqual(app.changes);
    expect(() => view('other', JSON.parse('{"maxSize":5}'))).toThrow(
      /^projection other: changes\.maxSize: expected a quantity like '1GiB'/,
    );
  });

  it('takes what is left out from what holds otherwise', () => {
    const base = { maxAgeMs: 5, maxBytes: 6 };
    expect(retentionFrom('x', { maxAge: '1s' }, base)).toEqual({ maxAgeMs: 1_000, maxBytes: 6 });
    expect(retentionFrom('x', { maxSize: false }, base)).toEqual({ maxAgeMs: 5, maxBytes: null });
  });

  it.each(['7', '7 d', '-1d', '0d', '1w', '1GB', '1gib', '1e3d', '0.0001KiB', '', 7, null, true, {}])(
    'refuses %j, and says what was expected',
    (value) => {
      const options: RetentionOptions = JSON.parse(JSON.stringify({ maxAge: value }));
      expect(() => retentionFrom('app things', options)).toThrow(DefinitionError);
      expect(() => retentionFrom('app things', options)).toThrow(
        /^app things: changes\.maxAge: expected a quantity like '7d' \(s, m, h, d\) or false, got /,
      );
    },
  );

  it('refuses options that it does not know', () => {
    const options: RetentionOptions = JSON.parse('{"maxage":"7d"}');
    expect(() => retentionFrom('app things', options)).toThrow('expected maxAge and maxSize, got "maxage"');
  });
});
