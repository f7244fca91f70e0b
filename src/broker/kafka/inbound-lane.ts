/** One partition of another system’s topic: what was fetched and waits, handled record by record in its order. */
import type { KafkaMessage } from 'kafkajs';
import { Bell, jittered } from '../../platform/pause.js';
import type { ForeignRecord, ReadRecordsRequest } from '../ports.js';
import { bytesOf, ownBytes, ownHeaders } from './own-memory.js';

export interface InboundLaneOptions {
  readonly request: ReadRecordsRequest;
  readonly partition: number;
  /** It begins once this is settled: the end of whoever had the partition before. */
  readonly after: Promise<void>;
  /** A record is done; the offset may move. */
  moved(): void;
  /** It holds so little that more may be fetched. */
  hungry(): void;
}

interface Waiting {
  readonly record: ForeignRecord;
  readonly bytes: number;
  /** Offset after it; after the last record of a batch that of the next batch, as not every offset is a record. */
  readonly next: number;
}

/** Until a record is given again whose handler gave up. */
const AGAIN_MS = 1_000;

export class InboundLane {
  readonly #options: InboundLaneOptions;
  readonly #abort = new AbortController();
  readonly #bell = new Bell();
  readonly #running: Promise<void>;
  #waiting: Waiting[] = [];
  #bytes = 0;
  #done: number | undefined;
  #end: number | undefined;
  #high = 0;

  constructor(options: InboundLaneOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** Offset after the last record that is done; undefined before the first. */
  get done(): number | undefined {
    return this.#done;
  }

  /** Offset of the first record that is not done; undefined before any came. */
  get rest(): number | undefined {
    return this.#done ?? this.#waiting[0]?.record.offset;
  }

  /** Offset after the last record that it has; undefined before the first. */
  get end(): number | undefined {
    return this.#end;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Records of the partition that are not done, as far as the last fetch told. */
  get behind(): number {
    return this.#done === undefined && this.#waiting.length === 0
      ? 0
      : this.#high - (this.#done ?? this.#waiting[0]?.record.offset ?? this.#high);
  }

  /**
   * @param next offset of the record after them
   * @param high that of the one to be written next
   */
  offer(messages: readonly KafkaMessage[], next: number, high: number): void {
    const { request, partition } = this.#options;
    this.#high = high;
    this.#end = next;
    for (const [index, message] of messages.entries()) {
      const record: ForeignRecord = {
        topic: request.topic,
        partition,
        offset: Number(message.offset),
        timestamp: Number(message.timestamp),
        key: ownBytes(message.key),
        value: ownBytes(message.value),
        headers: ownHeaders(message.headers),
      };
      const bytes = bytesOf(record);
      const isLast = index === messages.length - 1;
      this.#waiting.push({ record, bytes, next: isLast ? next : record.offset + 1 });
      this.#bytes += bytes;
    }
    this.#bell.ring();
  }

  /** Resolves when nothing runs any more. May be called twice. */
  async stop(): Promise<void> {
    this.#abort.abort(new Error('the partition was taken away, or reading ends'));
    this.#bell.ring();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    const { request, after, moved, hungry } = this.#options;
    await after;
    while (!signal.aborted) {
      const first = this.#waiting[0];
      if (first === undefined) {
        await this.#bell.wait();
        continue;
      }
      try {
        await request.handle(first.record, signal);
      } catch {
        // Whoever handles it says what is wrong with it; here it is only given again.
        if (!signal.aborted) await this.#bell.wait(jittered(AGAIN_MS));
        continue;
      }
      this.#waiting.shift();
      this.#bytes -= first.bytes;
      this.#done = first.next;
      moved();
      hungry();
    }
    this.#waiting = [];
    this.#bytes = 0;
  }
}
