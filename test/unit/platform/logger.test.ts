/** Log lines are JSON, and secrets are not in them. */
import { describe, expect, test } from 'vitest';
import { createLogger, showUrl } from '../../../src/platform/logger.js';

describe('showUrl', () => {
  test.each([
    [
      'postgres://ann:s3cret@db.example:5432/shop?sslmode=require&password=s3cret',
      'postgres://ann@db.example:5432/shop',
    ],
    ['postgres://db.example/shop', 'postgres://db.example/shop'],
    ['postgres://ann:p%40ss@[::1]:5432/shop', 'postgres://ann@[::1]:5432/shop'],
    ['s3cret', '(not a URL)'],
  ])('%s', (url, shown) => {
    expect(showUrl(url)).toBe(shown);
  });
});

test('lines carry level, time and base; known secrets are taken out', () => {
  const lines: string[] = [];
  const logger = createLogger({
    level: 'info',
    base: { app: 'orders' },
    destination: { write: (line) => void lines.push(line) },
  });
  logger.debug('not shown');
  logger.info({ password: 's3cret', headers: { authorization: 's3cret', cookie: 's3cret' } }, 'hello');
  logger.child({ room: 'queries' }).warn({ db: { password: 's3cret' } }, 'again');
  expect(lines).toHaveLength(2);
  expect(lines.join()).not.toContain('s3cret');
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 'info', app: 'orders', msg: 'hello' });
  expect(JSON.parse(lines[1] ?? '')).toMatchObject({ level: 'warn', room: 'queries', msg: 'again' });
  expect(new Date((JSON.parse(lines[0] ?? '') as { time: string }).time).getTime()).not.toBeNaN();
});
