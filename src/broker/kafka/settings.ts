/** How Kafka is reached, and what its topics are made with. */

export interface KafkaSettings {
  /** `host:port` each; the others of the cluster are learnt from them. */
  readonly brokers: readonly string[];
  /** True: certificate authorities that Node knows; an object: those in it (PEM). */
  readonly tls: boolean | { readonly ca: string };
  readonly sasl:
    | {
        readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
        readonly username: string;
        readonly password: string;
      }
    | undefined;
  /** Copies of each partition of the topics that we make; undefined: what the brokers take for their default. */
  readonly replication: number | undefined;
  /** What we call ourselves in the brokers’ logs, metrics and quotas. */
  readonly clientId: string;
}
