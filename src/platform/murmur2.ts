/**
 * Kafka's default partitioner hash, so that shard = Kafka partition.
 * Source of the algorithm: org.apache.kafka.common.utils.Utils#murmur2 (MurmurHash2 by Austin Appleby, seed 0x9747b28c).
 */

const M = 0x5bd1e995;
const SEED = 0x9747b28c;
const encoder = new TextEncoder();

/** 32-bit signed murmur2 of some bytes. */
export function murmur2(data: Uint8Array): number {
  const length = data.length;
  let h = SEED ^ length;
  const words = length >> 2;
  for (let i = 0; i < words; i++) {
    const at = i << 2;
    let k =
      (data[at] ?? 0) |
      ((data[at + 1] ?? 0) << 8) |
      ((data[at + 2] ?? 0) << 16) |
      ((data[at + 3] ?? 0) << 24);
    k = Math.imul(k, M);
    k ^= k >>> 24;
    k = Math.imul(k, M);
    h = Math.imul(h, M) ^ k;
  }
  const tail = words << 2;
  const rest = length & 3;
  if (rest === 3) h ^= (data[tail + 2] ?? 0) << 16;
  if (rest >= 2) h ^= (data[tail + 1] ?? 0) << 8;
  if (rest >= 1) {
    h ^= data[tail] ?? 0;
    h = Math.imul(h, M);
  }
  h ^= h >>> 13;
  h = Math.imul(h, M);
  h ^= h >>> 15;
  return h | 0;
}

/** The shard of a key: `(murmur2(UTF-8 bytes) & 0x7fffffff) % shardCount`, 0-based. */
export const shardOf = (key: string, shardCount: number): number =>
  (murmur2(encoder.encode(key)) & 0x7fffffff) % shardCount;
