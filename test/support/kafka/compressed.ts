/** Records of somebody whose producer compresses as kafkajs cannot read it (LZ4): what a topic may hold, whoever reads it. */
import { CompressionCodecs, CompressionTypes, Partitioners } from 'kafkajs';
import { kafka } from '../kafka.js';

/** An LZ4 frame of one block that is stored as it is. */
function lz4(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE((bytes.length | 0x80000000) >>> 0);
  return Buffer.concat([Buffer.from('04224d18604082', 'hex'), length, bytes, Buffer.alloc(4)]);
}

/** Sends one record with a value that is none of ours. */
export async function sendCompressed(topic: string, partition: number): Promise<void> {
  const real = CompressionCodecs[CompressionTypes.LZ4];
  CompressionCodecs[CompressionTypes.LZ4] = () => ({
    compress: ({ buffer }: { readonly buffer: Buffer }) => Promise.resolve(lz4(buffer)),
    decompress: () => Promise.reject(new Error('only written')),
  });
  const producer = kafka
    .client()
    .producer({ allowAutoTopicCreation: false, createPartitioner: Partitioners.DefaultPartitioner });
  try {
    await producer.connect();
    await producer.send({
      topic,
      acks: -1,
      compression: CompressionTypes.LZ4,
      messages: [{ key: null, value: 'not ours', partition }],
    });
  } finally {
    CompressionCodecs[CompressionTypes.LZ4] = real;
    await producer.disconnect();
  }
}
