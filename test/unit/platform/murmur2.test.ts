/** The hash that puts a key on a shard must be Kafka’s, bit for bit: a shard is a Kafka partition. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { murmur2, shardOf } from '../../../src/platform/murmur2.js';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Published by Kafka: org.apache.kafka.common.utils.UtilsTest#testMurmur2. */
const KAFKA: readonly (readonly [string, number])[] = [
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
];

describe('murmur2', () => {
  test.each(KAFKA)('%s', (text, hash) => {
    expect(murmur2(bytes(text))).toBe(hash);
  });

  test('of nothing', () => {
    expect(murmur2(new Uint8Array())).toBe(275646681);
  });

  test('is the algorithm in 64-bit arithmetic, for any bytes', () => {
    // Utils#murmur2 once more, with big integers cut to 32 bits after every step, so that no shortcut is shared.
    const cut = (value: bigint): bigint => BigInt.asUintN(32, value);
    const reference = (data: Uint8Array): number => {
      const m = 0x5bd1e995n;
      let h = cut(0x9747b28cn ^ BigInt(data.length));
      const whole = data.length - (data.length % 4);
      for (let at = 0; at < whole; at += 4) {
        let k = [3, 2, 1, 0].reduce((sum, i) => (sum << 8n) | BigInt(data[at + i] ?? 0), 0n);
        k = cut(k * m);
        k = cut((k ^ (k >> 24n)) * m);
        h = cut(h * m) ^ k;
      }
      const rest = [...data.slice(whole)];
      if (rest.length > 0) {
        h ^= rest.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
        h = cut(h * m);
      }
      h = cut((h ^ (h >> 13n)) * m);
      return Number(BigInt.asIntN(32, h ^ (h >> 15n)));
    };
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (data) => {
        expect(murmur2(data)).toBe(reference(data));
      }),
    );
  });
});

describe('shardOf', () => {
  test('takes the sign away as Kafka does, by its bit', () => {
    for (const [text, hash] of KAFKA) expect(shardOf(text, 16)).toBe((hash & 0x7fffffff) % 16);
    expect(shardOf('foobar', 10)).toBe(6);
  });

  test('is the same for the same UTF-8 bytes, and always a shard', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 1, max: 256 }), (key, count) => {
        const shard = shardOf(key, count);
        expect(shard).toBe((murmur2(bytes(key)) & 0x7fffffff) % count);
        expect(shard).toBeGreaterThanOrEqual(0);
        expect(shard).toBeLessThan(count);
      }),
    );
  });
});
