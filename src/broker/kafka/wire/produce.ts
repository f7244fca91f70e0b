/** The question that sends one batch to one partition, and its answer. */
import type { Encoded, ProduceAnswer, Question } from 'kafkajs/src/protocol/requests/index.js';
import { CODE, unavailable } from './errors.js';
import { API, type Link } from './link.js';

/** All in-sync replicas. */
const ACKS = -1;

/** Written by hand: of versions 3 to 7, which are alike. */
function encode(topic: string, partition: number, batch: Buffer, timeoutMs: number): Encoded {
  const name = Buffer.from(topic);
  const head = Buffer.alloc(8 + 4 + 2 + name.length + 12);
  let at = head.writeInt16BE(-1, 0); // no transaction
  at = head.writeInt16BE(ACKS, at);
  at = head.writeInt32BE(timeoutMs, at);
  at = head.writeInt32BE(1, at); // topics
  at = head.writeInt16BE(name.length, at);
  at += name.copy(head, at);
  at = head.writeInt32BE(1, at); // partitions
  at = head.writeInt32BE(partition, at);
  head.writeInt32BE(batch.length, at);
  const buffer = Buffer.concat([head, batch]);
  return { buf: buffer, buffer };
}

export interface Produced {
  /** Of Kafka’s protocol; 0 where the batch is there. */
  readonly error: number;
  /** Offset of its first record. */
  readonly baseOffset: number;
}

/**
 * Sends a batch; resolves with what the leader answers.
 * @param timeoutMs how long the leader may wait for its followers
 * @throws TidemarkError `broker_unavailable` when the answer does not say where the batch is; else as kafkajs
 */
export async function produce(
  link: Link,
  topic: string,
  partition: number,
  batch: Buffer,
  timeoutMs: number,
): Promise<Produced> {
  const ours = (asked: Question<ProduceAnswer>): Question<ProduceAnswer> => ({
    ...asked,
    request: {
      ...asked.request,
      encode: () => Promise.resolve(encode(topic, partition, batch, timeoutMs)),
    },
  });
  const answer = await link.ask(API.produce, { acks: ACKS, timeout: timeoutMs, topicData: [] }, ours);
  const found = answer.topics
    .find(({ topicName }) => topicName === topic)
    ?.partitions.find((one) => one.partition === partition);
  const [error, baseOffset] = [found?.errorCode ?? CODE.none, Number(found?.baseOffset ?? -1)];
  // What is not said to be there is not there.
  if (error === CODE.none && !(baseOffset >= 0))
    throw unavailable(`${link.address} does not say that partition ${partition} of ${topic} has it`);
  return { error, baseOffset };
}
