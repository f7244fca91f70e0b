/** What can be set on the gateway, with defaults and units. */
import { z } from 'zod';

const KIB = 1024;
const MIB = 1024 * 1024;
const count = (byDefault: number) => z.int().min(1).default(byDefault);
const ms = (byDefault: number) => z.int().min(1).max(86_400_000).default(byDefault);

export const gatewaySettings = z.strictObject({
  host: z.string().min(1).default('127.0.0.1').describe('Address to listen on.'),
  port: z.int().min(0).max(65_535).default(3001).describe('Port to listen on; 0 takes a free one.'),
  maxSockets: count(20_000).describe('Sockets of this process; whoever comes beyond is told 503.'),
  maxSocketsPerAddress: count(1_000).describe(
    'Sockets of one client address (of one /64 with IPv6); beyond 429. Callers on the same machine are not counted.',
  ),
  maxSocketsPerPrincipal: count(100).describe(
    'Sockets of one principal, but for the anonymous one; the next is closed.',
  ),
  authTimeoutMs: ms(5_000).describe('So long a socket may be without a token that is accepted.'),
  authConcurrency: count(64).describe('Tokens that are looked at at the same time.'),
  authGraceMs: ms(300_000).describe(
    'So long a socket goes on when its token was good and can’t be looked at again, as `authenticate` fails.',
  ),
  heldFrameBytes: count(64 * KIB).describe(
    'Frames that a socket may send ahead while its token is looked at.',
  ),
  heartbeatMs: ms(15_000).describe('Time between two `hb` frames.'),
  retryMs: ms(3_000).describe(
    'So long a browser waits before it opens a stream of events again that has ended, at the most.',
  ),
  quietMs: ms(5_000).describe(
    'After so long without one, a channel that fell behind its log gets a part with no rows.',
  ),
  maxSubscriptions: count(128).describe('Subscriptions a socket.'),
  maxFrameBytes: count(16 * KIB).describe('A larger inbound frame is answered with `err frame_too_large`.'),
  closeFrameBytes: count(64 * KIB).describe('A larger inbound frame closes the socket.'),
  frameBurst: count(1_000).describe('Frames that a client may send at once …'),
  framesPerSecond: count(200).describe('… and after that, each second.'),
  maxSnapshotRows: count(10_000).describe('More rows are `err too_many_rows`.'),
  maxReplayChanges: count(10_000).describe('Further behind than so many changes means a new snapshot.'),
  outFrameBytes: count(256 * KIB).describe(
    'Frames with rows are about so large at the most; a larger row is alone in its frame.',
  ),
  ringBytes: count(1 * MIB).describe('Changes of a shard that are kept in memory.'),
  replayBytes: count(64 * MIB).describe(
    'Changes of a log that are held while subscribers are brought up; more means a new snapshot.',
  ),
  snapshotCacheBytes: count(32 * MIB).describe(
    'Encoded snapshots that are kept for the next who ask, as long as they are exact.',
  ),
  heldSnapshotBytes: count(128 * MIB).describe(
    'Snapshots that slow clients are in the middle of may take so much together; the next large one waits. Those up to `maxBufferedBytes` are not counted.',
  ),
  maxWindows: count(10_000).describe(
    'Windows (`sort`, `limit`) that are open at the same time; those who watch the same one share it.',
  ),
  windowSpareRows: z
    .int()
    .min(0)
    .max(1_000)
    .default(50)
    .describe(
      'Rows behind the last one of a window that are kept as well, so that few that leave cost a query.',
    ),
  maxWindowBytes: count(16 * MIB).describe('Memory that the rows of one window may take.'),
  windowBytes: count(256 * MIB).describe('Memory that the rows of all windows may take.'),
  snapshotConcurrency: count(3).describe('Snapshots that are read at the same time.'),
  resetBatch: count(100).describe(
    'When a log is broken (rebuilt, trimmed under its readers), so many subscriptions are reset at once; …',
  ),
  resetSpreadMs: ms(2_000).describe(
    '… the others in batches, within so long, however many they are. A reset brings a new snapshot.',
  ),
  maxBufferedBytes: count(1 * MIB).describe(
    'A socket with more unread bytes leaves its topics until it drains.',
  ),
  slowConsumerMs: ms(10_000).describe(
    'Such a socket that has not read an eighth of it within so long is closed.',
  ),
  joinTimeoutMs: ms(30_000).describe(
    'A subscription that cannot be brought up for so long gets `err unavailable`.',
  ),
  idleTimeoutSeconds: z
    .int()
    .min(8)
    .max(960)
    .default(60)
    .describe('A client that answers no ping for so long is cut off.'),
  drainMs: z
    .int()
    .min(0)
    .max(60_000)
    .default(2_000)
    .describe('How long a stop takes at the most to say goodbye.'),
});

export type GatewaySettings = z.infer<typeof gatewaySettings>;
export type GatewaySettingsInput = z.input<typeof gatewaySettings>;
