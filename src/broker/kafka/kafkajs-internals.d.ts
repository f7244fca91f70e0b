/**
 * The parts of kafkajs that it does not export and that we stand on, as far as we use them. kafkajs has had no release since
 * 2023, and its version is fixed in package.json; `test/unit/broker/kafkajs-internals.test.ts` shows that they are there.
 */
declare module 'kafkajs/src/network/requestQueue/index.js' {
  class RequestQueue {
    throttledUntil: number;
    throttleCheckTimeoutId: NodeJS.Timeout | null;
    readonly pending: readonly unknown[];
    checkPendingRequests(): void;
    scheduleCheckPendingRequests(): void;
  }
  export default RequestQueue;
}

declare module 'kafkajs/src/protocol/decoder.js' {
  interface DecodedHeader {
    readonly key: string;
    readonly value: Buffer | null;
  }
  type HeaderValues = Buffer | null | (Buffer | null)[];
  class Decoder {
    constructor(buffer: Buffer);
    readVarInt(): number;
    readVarIntArray(reader: (decoder: Decoder) => DecodedHeader): DecodedHeader[];
  }
  export default Decoder;
  export type { DecodedHeader, HeaderValues };
}

declare module 'kafkajs/src/protocol/recordBatch/record/v0/decoder.js' {
  import type Decoder from 'kafkajs/src/protocol/decoder.js';
  import type { HeaderValues } from 'kafkajs/src/protocol/decoder.js';
  const decode: (
    decoder: Decoder,
    context: { readonly firstOffset: string; readonly firstTimestamp: string; readonly magicByte: number },
  ) => { readonly headers: Readonly<Record<string, HeaderValues>> };
  export default decode;
}

declare module 'kafkajs/src/network/connection.js' {
  class Connection {
    readonly socket?: import('node:net').Socket;
    disconnect(): Promise<unknown>;
    /** Ends what waits for an answer. */
    rejectRequests(error: Error): void;
  }
  export default Connection;
}

declare module 'kafkajs/src/network/connectionPool.js' {
  import type { ISocketFactory, Logger, SASLOptions } from 'kafkajs';
  import type Connection from 'kafkajs/src/network/connection.js';
  import type { Question } from 'kafkajs/src/protocol/requests/index.js';

  /** Two connections to one broker: fetches have one of their own. */
  class ConnectionPool {
    constructor(options: {
      readonly host: string;
      readonly port: number;
      readonly rack: null;
      readonly ssl: boolean | { readonly ca: string };
      readonly sasl: SASLOptions | undefined;
      readonly clientId: string;
      readonly connectionTimeout: number;
      readonly requestTimeout: number;
      readonly enforceRequestTimeout: true;
      readonly maxInFlightRequests: null;
      readonly instrumentationEmitter: null;
      readonly reauthenticationThreshold: number;
      readonly socketFactory: ISocketFactory;
      readonly logger: Logger;
    });
    readonly pool: readonly Connection[];
    send<A>(question: Question<A>): Promise<A>;
  }
  export default ConnectionPool;
}

declare module 'kafkajs/src/broker/index.js' {
  import type { Logger } from 'kafkajs';
  import type ConnectionPool from 'kafkajs/src/network/connectionPool.js';
  import type { Api, Question } from 'kafkajs/src/protocol/requests/index.js';

  /** A connection to one broker: its versions, its log-in. */
  class Broker {
    constructor(options: {
      readonly connectionPool: ConnectionPool;
      readonly logger: Logger;
      readonly authenticationTimeout: number;
      readonly allowAutoTopicCreation: false;
    });
    readonly connectionPool: ConnectionPool;
    isConnected(): boolean;
    connect(): Promise<void>;
    /** The newest version that both sides speak. */
    lookupRequest<Q, A>(key: number, api: Api<Q, A>): (question: Q) => Question<A>;
  }
  export default Broker;
}

declare module 'kafkajs/src/protocol/requests/index.js' {
  import type { IHeaders } from 'kafkajs';

  /** What a request’s body is written into. */
  interface Encoded {
    readonly buf: Buffer;
    readonly buffer: Buffer;
  }

  interface Question<A> {
    readonly request: {
      readonly apiKey: number;
      readonly apiVersion: number;
      readonly apiName: string;
      readonly expectResponse?: () => boolean;
      readonly encode: () => Promise<Encoded>;
    };
    readonly response: {
      readonly decode: (payload: Buffer) => Promise<A>;
      /** Throws where any part of the answer is an error. */
      readonly parse: (answer: A) => Promise<A>;
    };
    readonly requestTimeout?: number;
    readonly logResponseError?: boolean;
  }

  /** The versions of one kind of request. */
  interface Api<Q, A> {
    readonly versions: readonly string[];
    readonly protocol: (version: { readonly version: number }) => (question: Q) => Question<A>;
  }

  interface MetadataAnswer {
    readonly brokers: readonly { readonly nodeId: number; readonly host: string; readonly port: number }[];
    readonly controllerId: number;
    readonly topicMetadata: readonly {
      readonly topicErrorCode: number;
      readonly topic: string;
      readonly partitionMetadata: readonly {
        readonly partitionErrorCode: number;
        readonly partitionId: number;
        readonly leader: number;
      }[];
    }[];
  }

  interface ProduceAnswer {
    readonly topics: readonly {
      readonly topicName: string;
      readonly partitions: readonly {
        readonly partition: number;
        readonly errorCode: number;
        readonly baseOffset: string;
      }[];
    }[];
  }

  interface ListOffsetsAnswer {
    readonly responses: readonly {
      readonly topic: string;
      readonly partitions: readonly {
        readonly partition: number;
        readonly errorCode: number;
        readonly offset: string;
      }[];
    }[];
  }

  interface FetchedRecord {
    readonly offset: string;
    readonly key: Buffer | null;
    readonly value: Buffer | null;
    readonly headers: IHeaders;
    readonly isControlRecord: boolean;
    readonly batchContext: { readonly inTransaction?: boolean };
  }

  interface FetchAnswer {
    readonly responses: readonly {
      readonly topicName: string;
      readonly partitions: readonly {
        readonly partition: number;
        readonly errorCode: number;
        readonly highWatermark: string;
        readonly messages: readonly FetchedRecord[];
      }[];
    }[];
  }

  interface TopicErrors {
    readonly topicErrors: readonly {
      readonly topic: string;
      readonly errorCode: number;
      readonly errorMessage?: string | null;
    }[];
  }

  interface Requests {
    readonly Metadata: Api<
      { readonly topics: readonly string[]; readonly allowAutoTopicCreation: false },
      MetadataAnswer
    >;
    readonly Produce: Api<
      { readonly acks: -1; readonly timeout: number; readonly topicData: readonly [] },
      ProduceAnswer
    >;
    readonly ListOffsets: Api<
      {
        readonly isolationLevel: 0;
        readonly topics: readonly {
          readonly topic: string;
          readonly partitions: readonly { readonly partition: number; readonly timestamp: number }[];
        }[];
      },
      ListOffsetsAnswer
    >;
    readonly Fetch: Api<
      {
        readonly isolationLevel: 0;
        readonly maxWaitTime: number;
        readonly minBytes: number;
        readonly maxBytes: number;
        readonly rackId: '';
        readonly topics: readonly {
          readonly topic: string;
          readonly partitions: readonly {
            readonly partition: number;
            readonly fetchOffset: string;
            readonly maxBytes: number;
          }[];
        }[];
      },
      FetchAnswer
    >;
    readonly CreateTopics: Api<
      {
        readonly topics: readonly {
          readonly topic: string;
          readonly numPartitions: number;
          readonly replicationFactor: number;
          readonly configEntries: readonly { readonly name: string; readonly value: string }[];
        }[];
        readonly validateOnly: false;
        readonly timeout: number;
      },
      TopicErrors
    >;
    readonly DeleteTopics: Api<{ readonly topics: readonly string[]; readonly timeout: number }, TopicErrors>;
  }
  // kafkajs is CommonJS: what it exports is the default export, to a module.
  const exported: { readonly requests: Requests };
  export default exported;
  export type {
    Api,
    Encoded,
    FetchedRecord,
    Question,
    Requests,
    ListOffsetsAnswer,
    FetchAnswer,
    MetadataAnswer,
    ProduceAnswer,
    TopicErrors,
  };
}

declare module 'kafkajs/src/protocol/error.js' {
  /** What Kafka’s error codes mean. */
  const exported: {
    createErrorFromCode(code: number): Error & { readonly type: string; readonly retriable: boolean };
  };
  export default exported;
}

declare module 'kafkajs/src/protocol/recordBatch/crc32C/index.js' {
  function crc32C(bytes: Buffer): number;
  export default crc32C;
}
