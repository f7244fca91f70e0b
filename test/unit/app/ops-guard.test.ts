/** Which addresses count as the machine itself. */
import { expect, test } from 'vitest';
import { isLoopbackAddress } from '../../../src/app/http/ops/guard.js';

test.each(['127.0.0.1', '127.255.255.254', '::1', '::ffff:127.0.0.1', '::FFFF:127.1.2.3'])(
  '%s does',
  (address) => expect(isLoopbackAddress(address)).toBe(true),
);

test.each([
  undefined,
  '',
  '10.0.0.1',
  '128.0.0.1',
  '::ffff:10.0.0.1',
  '::ffff:7f00:1',
  'fe80::1',
  '::',
  '0.0.0.0',
  '127.0.0.1.example.com',
  '::1%eth0',
])('%s does not', (address) => expect(isLoopbackAddress(address)).toBe(false));
