/**
 * Tidemark's gateway, whole, but for where its changes come from: they are handed over from memory, as they are in a process
 * that has committed them just now. From there on it does all that it does: ring, channels, encoding, limits, metrics.
 */
import orders from '../../examples/orders/app.js';
import { gatewayMetrics } from '../../src/app/metrics/realtime.js';
import { MetricsRegistry } from '../../src/app/metrics/registry.js';
import { chooseSocketEngine } from '../../src/app/sockets.js';
import type { Feed, ShardReader } from '../../src/broker/ports.js';
import { silentLogger } from '../../src/platform/logger.js';
import { Signer } from '../../src/platform/signing.js';
import type { ChangeEntry } from '../../src/projections/types.js';
import { createGateway } from '../../src/realtime/gateway.js';
import { ROW, type OpenSubject } from './subject.js';

const LOG = 'order_summary.v1';
const EPOCH = 'bench';

/** Hands over what it is told to, shard after shard. */
class MemoryFeed implements Feed<ChangeEntry> {
  readonly #shards: { readonly reader: ShardReader<ChangeEntry>; seq: number }[] = [];
  #turn = 0;

  async join(request: Parameters<Feed<ChangeEntry>['join']>[0]) {
    for (let shard = 0; request.log === LOG && shard < request.shards; shard++) {
      const reader = await request.open(shard);
      if (reader) this.#shards.push({ reader, seq: reader.after });
    }
    return { reopen: () => undefined, stop: async () => undefined };
  }

  hand(recordedAt: string): void {
    const shard = this.#turn++ % this.#shards.length;
    const one = this.#shards[shard];
    if (!one) throw new Error('nobody follows the change log');
    const seq = ++one.seq;
    const before = { customerId: 'c-1', status: 'placed' };
    // It is done in this very turn.
    void one.reader.handle([
      { log: LOG, shard, epoch: EPOCH, seq, key: 'o-1042', before, row: ROW, recordedAt },
    ]);
  }
}

export const openGateway: OpenSubject = async () => {
  const feed = new MemoryFeed();
  const gateway = createGateway({
    app: orders,
    engine: chooseSocketEngine('auto', silentLogger),
    source: {
      heads: async (logs) =>
        logs.flatMap((log) =>
          Array.from({ length: orders.shards }, (_, shard) => ({
            log,
            shard,
            epoch: EPOCH,
            head: 0,
            low: 0,
          })),
        ),
      readChanges: async () => ({ kind: 'entries', entries: [] }),
      readSnapshot: async () => ({ epoch: EPOCH, pos: [], rows: [], tooMany: false }),
    },
    feed,
    signer: new Signer(Buffer.alloc(32)),
    logger: silentLogger,
    observer: gatewayMetrics(new MetricsRegistry()),
    settings: { port: 0 },
  });
  await gateway.start();
  return {
    greeting: {
      port: gateway.port,
      path: '/realtime',
      protocol: 'tidemark.v1',
      sends: [
        {
          after: null,
          text: JSON.stringify({ t: 'sub', id: 's', view: 'order_summary', where: { customerId: 'c-1' } }),
        },
      ],
      readyAfter: '{"t":"live"',
      resumes: false,
    },
    publish(changes) {
      const at = new Date().toISOString();
      for (let n = 0; n < changes; n++) feed.hand(at);
    },
  };
};
