/** Makes kafkajs clients of the settings: our logger, our time-outs, nothing made by the way. */
import { connect as connectPlain, isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Kafka, logLevel, type ISocketFactory, type LogEntry, type SASLOptions } from 'kafkajs';
import type { Logger } from '../../platform/logger.js';
import { mendHeaders } from './headers.js';
import { mendRequestQueue } from './queue.js';
import type { KafkaSettings } from './settings.js';

/** Until a connection stands, in milliseconds. */
export const CONNECT_MS = 3_000;
/** Until a log-in is through, in milliseconds. */
export const AUTHENTICATE_MS = 10_000;
const REQUEST_MS = 15_000;
const KEEP_ALIVE_MS = 60_000;

/** Facts of a line of kafkajs that may be shown; it hangs payloads on others. */
const SHOWN = ['broker', 'groupId', 'topic', 'partition', 'error', 'retryCount', 'retryTime'] as const;

/**
 * kafkajs tells as an error what it tries again, and what it gives up on comes to us as an error that is thrown: its own
 * lines are for whoever looks closer.
 */
export function kafkaLog(logger: Logger): (entry: LogEntry) => void {
  return ({ namespace, label, log }) => {
    const facts = SHOWN.flatMap((name) => {
      const value: unknown = log[name];
      return typeof value === 'string' || typeof value === 'number' ? [[name, value] as const] : [];
    });
    logger.debug({ kafkajs: namespace, as: label, ...Object.fromEntries(facts) }, log.message);
  };
}

/** Mechanism by mechanism, as kafkajs has a type for each. */
function saslOptions({ mechanism, username, password }: NonNullable<KafkaSettings['sasl']>): SASLOptions {
  if (mechanism === 'plain') return { mechanism, username, password };
  return mechanism === 'scram-sha-256'
    ? { mechanism, username, password }
    : { mechanism, username, password };
}

/** As kafkajs’s own, but that small requests do not wait for the answer to the one before (Nagle). */
export const socketFactory: ISocketFactory = ({ host, port, ssl, onConnect }) => {
  const socket = ssl
    ? connectTls({ host, port, ...(isIP(host) ? {} : { servername: host }), ...ssl }, onConnect)
    : connectPlain({ host, port }, onConnect);
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
  return socket;
};

/** What connects, of the settings; for `Kafka` and for our own connections alike. */
export const connectionOptions = ({ brokers, tls, sasl, clientId }: KafkaSettings) => ({
  brokers: [...brokers],
  clientId,
  ssl: typeof tls === 'boolean' ? tls : { ca: tls.ca },
  ...(sasl === undefined ? {} : { sasl: saslOptions(sasl) }),
  connectionTimeout: CONNECT_MS,
  authenticationTimeout: AUTHENTICATE_MS,
  requestTimeout: REQUEST_MS,
  socketFactory,
});

/**
 * For consumers. What publishes goes through `KafkaPublisher`: kafkajs’s producers and its admin client refuse to work as
 * long as any partition of any topic they know has no leader.
 */
export function createKafka(settings: KafkaSettings, logger: Logger): Kafka {
  mendRequestQueue();
  mendHeaders();
  return new Kafka({
    ...connectionOptions(settings),
    // All of them, as kafkajs has other defaults where NODE_ENV is `test`.
    retry: { initialRetryTime: 100, maxRetryTime: 2_000, factor: 0.2, multiplier: 2, retries: 5 },
    logLevel: logLevel.WARN,
    logCreator: () => kafkaLog(logger),
  });
}
