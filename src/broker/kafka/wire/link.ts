/**
 * A connection to one broker: kafkajs’s own, with its log-in, its versions and its framing. What was in trouble once is thrown
 * away and made anew: kafkajs’s connections do not all come back after a failure.
 */
import type { Logger as KafkaLogger } from 'kafkajs';
import Broker from 'kafkajs/src/broker/index.js';
import ConnectionPool from 'kafkajs/src/network/connectionPool.js';
import protocol, {
  type Api,
  type FetchAnswer,
  type Question,
  type Requests,
} from 'kafkajs/src/protocol/requests/index.js';
import { AUTHENTICATE_MS, CONNECT_MS, connectionOptions, socketFactory } from '../client.js';
import type { KafkaSettings } from '../settings.js';

interface Known<A> {
  readonly key: number;
  readonly api: A;
}

/** Keys and versions of the requests that we make. */
export const API: {
  readonly produce: Known<Requests['Produce']>;
  readonly fetch: Known<Requests['Fetch']>;
  readonly listOffsets: Known<Requests['ListOffsets']>;
  readonly metadata: Known<Requests['Metadata']>;
  readonly createTopics: Known<Requests['CreateTopics']>;
  readonly deleteTopics: Known<Requests['DeleteTopics']>;
} = {
  produce: { key: 0, api: protocol.requests.Produce },
  fetch: { key: 1, api: protocol.requests.Fetch },
  listOffsets: { key: 2, api: protocol.requests.ListOffsets },
  metadata: { key: 3, api: protocol.requests.Metadata },
  createTopics: { key: 19, api: protocol.requests.CreateTopics },
  deleteTopics: { key: 20, api: protocol.requests.DeleteTopics },
};

/** A little before a log-in ends it is made anew. */
const REAUTHENTICATE_MS = 10_000;

export interface LinkOptions {
  readonly settings: KafkaSettings;
  readonly host: string;
  readonly port: number;
  /** How long a request waits for its answer; milliseconds. */
  readonly requestMs: number;
  readonly logger: KafkaLogger;
}

export class Link {
  readonly address: string;
  readonly #broker: Broker;
  #wasUp = false;
  #lost = false;
  #asking = 0;
  #connecting: Promise<void> | undefined;
  #fetching: Promise<unknown> = Promise.resolve();

  constructor({ settings, host, port, requestMs, logger }: LinkOptions) {
    this.address = `${host}:${port}`;
    const { ssl, sasl, clientId } = connectionOptions(settings);
    const connectionPool = new ConnectionPool({
      host,
      port,
      rack: null,
      ssl,
      sasl,
      clientId,
      connectionTimeout: CONNECT_MS,
      requestTimeout: requestMs,
      enforceRequestTimeout: true,
      maxInFlightRequests: null,
      instrumentationEmitter: null,
      reauthenticationThreshold: REAUTHENTICATE_MS,
      socketFactory,
      logger,
    });
    this.#broker = new Broker({
      connectionPool,
      logger,
      authenticationTimeout: AUTHENTICATE_MS,
      allowAutoTopicCreation: false,
    });
  }

  /** It is to be asked nothing new: the broker hung up, its log-in ends, or it was in trouble. */
  get lost(): boolean {
    return this.#lost || (this.#wasUp && !this.#broker.isConnected());
  }

  /** Resolves when it may be asked. @throws as kafkajs */
  connect(): Promise<void> {
    if (this.#wasUp) return Promise.resolve();
    this.#connecting ??= this.#broker.connect().then(
      () => {
        this.#wasUp = true;
      },
      (error: unknown) => {
        this.close('it could not be connected');
        throw error;
      },
    );
    return this.#connecting;
  }

  /**
   * An answer, as it is: errors in it are the caller’s to find. Only after `connect`.
   * @param change what to ask otherwise than kafkajs does
   * @throws as kafkajs, when there is no answer
   */
  async ask<Q, A>(
    kind: { readonly key: number; readonly api: Api<Q, A> },
    question: Q,
    change: (question: Question<A>) => Question<A> = (same) => same,
  ): Promise<A> {
    this.#asking++;
    try {
      const asked = change(this.#broker.lookupRequest(kind.key, kind.api)(question));
      return await this.#broker.connectionPool.send({
        ...asked,
        // kafkajs’s own `parse` throws the whole answer away when one partition of it is an error.
        response: { decode: asked.response.decode, parse: (answer) => Promise.resolve(answer) },
        logResponseError: false,
      });
    } catch (error) {
      // An answer of which kafkajs cannot read the compression came in whole: the connection is as good as before.
      this.#lost ||= !(error instanceof Error && error.name === 'KafkaJSNotImplemented');
      throw error;
    } finally {
      this.#asking--;
      if (this.#lost) this.retire();
    }
  }

  /** One fetch at a time: kafkajs opens the connection for fetches at the first, and twice when two come at once. */
  fetch(question: Parameters<ReturnType<typeof protocol.requests.Fetch.protocol>>[0]): Promise<FetchAnswer> {
    const fetching = this.#fetching.then(() => this.ask(API.fetch, question));
    this.#fetching = fetching.catch(() => undefined);
    return fetching;
  }

  /** Asked nothing new; closed as soon as nobody waits for an answer. */
  retire(): void {
    this.#lost = true;
    if (this.#asking === 0) this.close('it was replaced');
  }

  /** Ends it now, with all that waits for an answer. */
  close(why: string): void {
    this.#lost = true;
    for (const connection of this.#broker.connectionPool.pool) {
      connection.rejectRequests(new Error(`the connection to ${this.address} was closed: ${why}`));
      void connection.disconnect();
      connection.socket?.destroy();
    }
  }
}
