/** A record of another system, as a consumer of Kafka gives it. */
import type { ForeignRecord } from '../../src/broker/ports.js';

export const foreign = (
  value: unknown,
  headers: Readonly<Record<string, string | Buffer | (string | Buffer)[]>> = {},
  more: Partial<ForeignRecord> = {},
): ForeignRecord => ({
  topic: 'billing.payments',
  partition: 2,
  offset: 41,
  timestamp: 1_700_000_000_000,
  key: Buffer.from('k-1'),
  value: value === null || Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value)),
  headers,
  ...more,
});
