/**
 * Writes records as one batch of Kafka’s format (magic 2), uncompressed, into one buffer. kafkajs takes a buffer of its own
 * for every header of every record: with the headers of a CloudEvent that is most of what sending costs.
 */
import crc32C from 'kafkajs/src/protocol/recordBatch/crc32C/index.js';
import type { OutgoingRecord } from '../records.js';

/** From the first byte of a batch to its first record. */
const HEAD_BYTES = 61;
/** What stands before the part that its length counts: base offset and the length itself. */
const BEFORE_LENGTH = 12;
/** What the checksum covers begins here. */
const CHECKED_FROM = 21;
const MAGIC = 2;
/** Batches of no idempotent producer. */
const NO_PRODUCER = -1n;

/** Bytes of a zigzag varint of a length; -1 stands for null. */
function sizeOfLength(length: number): number {
  if (length < 64) return 1;
  if (length < 8_192) return 2;
  if (length < 1_048_576) return 3;
  return length < 134_217_728 ? 4 : 5;
}

const byteLength = (value: string | Buffer | null): number =>
  value === null ? -1 : Buffer.byteLength(value);

/** A value and how many bytes come before it: each is measured once, written once. */
interface Measured {
  readonly value: string | Buffer | null;
  readonly bytes: number;
}

interface MeasuredRecord {
  /** Without the length that stands before it, for the largest offset that may come. */
  readonly bytes: number;
  readonly parts: readonly Measured[];
  readonly headers: number;
}

const measure = (value: string | Buffer | null): Measured => ({ value, bytes: byteLength(value) });
const sizeOf = ({ bytes }: Measured): number => sizeOfLength(bytes) + Math.max(0, bytes);

function measureRecord(record: OutgoingRecord, index: number): MeasuredRecord {
  const parts = [measure(record.key), measure(record.value)];
  let headers = 0;
  for (const name in record.headers) {
    headers++;
    parts.push(measure(name), measure(record.headers[name] ?? null));
  }
  let bytes = 1 + 1 + sizeOfLength(index) + sizeOfLength(headers);
  for (const part of parts) bytes += sizeOf(part);
  return { bytes, parts, headers };
}

/** Writes at a place that moves on. */
class Pen {
  readonly buffer: Buffer;
  at: number;

  constructor(buffer: Buffer, at: number) {
    this.buffer = buffer;
    this.at = at;
  }

  /** Zigzag, least seven bits first; from -1 to 2^31 - 1. */
  length(value: number): void {
    let left = value < 0 ? 1 : value * 2;
    while (left > 0x7f) {
      this.buffer[this.at++] = (left % 128) | 0x80;
      left = Math.floor(left / 128);
    }
    this.buffer[this.at++] = left;
  }

  part({ value, bytes }: Measured): void {
    this.length(bytes);
    if (value === null) return;
    if (typeof value === 'string') this.buffer.write(value, this.at, bytes, 'utf8');
    else value.copy(this.buffer, this.at);
    this.at += bytes;
  }
}

function writeRecord(pen: Pen, record: MeasuredRecord, index: number): void {
  pen.length(record.bytes);
  pen.length(0); // attributes, a plain byte: 0 either way
  pen.length(0); // milliseconds after the batch's time
  pen.length(index);
  const [key, value] = record.parts;
  if (key) pen.part(key);
  if (value) pen.part(value);
  pen.length(record.headers);
  for (let part = 2; part < record.parts.length; part++) {
    const measured = record.parts[part];
    if (measured) pen.part(measured);
  }
}

export interface Batch {
  readonly bytes: Buffer;
  /** Records in it. */
  readonly count: number;
}

/**
 * A batch of the records from `from` on: as many as fit into `maxBytes`, but one at the least.
 * @param now milliseconds; the time that Kafka counts retention from, so that what is sent late is not gone at once
 */
export function encodeBatch(
  records: readonly OutgoingRecord[],
  from: number,
  maxBytes: number,
  now: number,
): Batch {
  const measured: MeasuredRecord[] = [];
  let total = HEAD_BYTES;
  for (let index = from; index < records.length; index++) {
    const record = records[index];
    if (!record) break;
    const next = measureRecord(record, index - from);
    const bytes = next.bytes + sizeOfLength(next.bytes);
    if (measured.length > 0 && total + bytes > maxBytes) break;
    measured.push(next);
    total += bytes;
  }
  const buffer = Buffer.allocUnsafe(total);
  const count = measured.length;
  buffer.writeBigInt64BE(0n, 0); // base offset: the broker's business
  buffer.writeInt32BE(total - BEFORE_LENGTH, 8);
  buffer.writeInt32BE(-1, 12); // leader epoch: the broker's business
  buffer.writeInt8(MAGIC, 16);
  buffer.writeInt16BE(0, 21); // no compression, no transaction
  buffer.writeInt32BE(count - 1, 23);
  buffer.writeBigInt64BE(BigInt(now), 27);
  buffer.writeBigInt64BE(BigInt(now), 35);
  buffer.writeBigInt64BE(NO_PRODUCER, 43);
  buffer.writeInt16BE(-1, 51);
  buffer.writeInt32BE(-1, 53);
  buffer.writeInt32BE(count, 57);
  const pen = new Pen(buffer, HEAD_BYTES);
  measured.forEach((record, index) => writeRecord(pen, record, index));
  buffer.writeUInt32BE(crc32C(buffer.subarray(CHECKED_FROM)), 17);
  return { bytes: buffer, count };
}
