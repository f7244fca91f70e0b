/** Tags and metadata, read faster than by parsing: whatever they are, they are what parsing gives. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { metadataFrom, tagsFrom } from '../../../src/event-store/stored-json.js';

const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.uuid(),
  fc.constantFrom('', '"', '\\', '","actor":"', '","causationId":"', '"}', '{"correlationId":"'),
);

describe('metadataFrom', () => {
  test('is what parsing gives', () => {
    const metadata = fc.record(
      { correlationId: text, causationId: text, actor: text, traceparent: text },
      { requiredKeys: ['correlationId', 'causationId', 'actor'] },
    );
    fc.assert(
      fc.property(metadata, (given) => {
        const json = JSON.stringify(given);
        expect(metadataFrom(json)).toStrictEqual(JSON.parse(json));
      }),
    );
  });

  test.each([
    '{"correlationId":"a","other":"b","causationId":"c","actor":"d"}',
    '{"correlationId":"a","causationId":"b","other":"c","actor":"d"}',
    '{"correlationId":"a","causationId":"b","actor":"c","actor":"d"}',
    '{"correlationId":"a","causationId":"b","actor":"c" }',
    '{ "correlationId":"a","causationId":"b","actor":"c"}',
    '{"actor":"c","correlationId":"a","causationId":"b"}',
    '{"correlationId":"a"}',
    '{"correlationId":"a","causationId":"b","actor":""}',
  ])('%s', (json) => {
    expect(metadataFrom(json)).toStrictEqual(JSON.parse(json));
  });
});

describe('tagsFrom', () => {
  test('is what parsing gives, also when it is the same again', () => {
    const tags = fc.array(fc.constantFrom<Record<string, string>>({}, { a: '1' }, { a: '2', b: '"' }));
    fc.assert(
      fc.property(tags, (all) => {
        for (const one of all) expect(tagsFrom(JSON.stringify(one))).toStrictEqual(one);
      }),
    );
  });

  test('what one reader writes into its tags is not in the next one’s', () => {
    const first: Record<string, string> = { ...tagsFrom('{"a":"1"}') };
    const mine = tagsFrom('{"a":"1"}') as Record<string, string>;
    mine['a'] = 'changed';
    expect(tagsFrom('{"a":"1"}')).toStrictEqual(first);
  });
});
