import { validate, version } from 'uuid';
import { expect, test } from 'vitest';
import { newId } from '../../../src/platform/ids.js';

test('ids are UUIDs of version 7, all different, in the order of their milliseconds', () => {
  const ids = Array.from({ length: 5_000 }, newId);
  expect(ids.every((id) => validate(id) && version(id) === 7)).toBe(true);
  expect(new Set(ids).size).toBe(ids.length);
  const times = ids.map((id) => id.slice(0, 13));
  expect(times).toEqual(times.toSorted());
});
