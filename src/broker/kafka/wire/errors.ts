/** What Kafka answers and what kafkajs throws, as errors of ours: what may pass, and what somebody has to mend. */
import kafkaErrors from 'kafkajs/src/protocol/error.js';
import { isTidemarkError, messageOf, TidemarkError } from '../../../platform/errors.js';
import { backoff } from '../../../platform/pause.js';

/** Codes of Kafka’s protocol that we act upon. */
export const CODE = {
  none: 0,
  offsetOutOfRange: 1,
  unknownTopic: 3,
  leaderNotAvailable: 5,
  notLeader: 6,
  timedOut: 7,
  messageTooLarge: 10,
  recordListTooLarge: 18,
  topicExists: 36,
  notController: 41,
} as const;

/** What is no fault of ours but does not pass by itself: rights, limits, what the cluster allows. */
const REFUSED: readonly string[] = [
  'CLUSTER_AUTHORIZATION_FAILED',
  'GROUP_AUTHORIZATION_FAILED',
  'ILLEGAL_SASL_STATE',
  'INVALID_CONFIG',
  'INVALID_PARTITIONS',
  'INVALID_RECORD',
  'INVALID_REPLICATION_FACTOR',
  'INVALID_REQUIRED_ACKS',
  'INVALID_TIMESTAMP',
  'INVALID_TOPIC_EXCEPTION',
  'POLICY_VIOLATION',
  'SASL_AUTHENTICATION_FAILED',
  'SECURITY_DISABLED',
  'TOPIC_AUTHORIZATION_FAILED',
  'UNSUPPORTED_SASL_MECHANISM',
  'UNSUPPORTED_VERSION',
];

/** Nothing was done, and who leads the partition (or the cluster) now will be known in a moment. */
const MOVING: readonly number[] = [CODE.leaderNotAvailable, CODE.notLeader, CODE.notController];
const MOVES = { moving: true };

const SASL_ERROR = 'KafkaJSSASLAuthenticationError';

/** What Kafka’s own words do not say. */
const MEANS: Readonly<Record<string, string>> = {
  ILLEGAL_SASL_STATE:
    'it wants no log-in at this port; leave out KAFKA_SASL_MECHANISM, or name its port with SASL',
};

/** The name of a code of Kafka’s protocol, as its documentation has it. */
export const nameOfCode = (code: number): string => kafkaErrors.createErrorFromCode(code).type;

/** @param detail what a broker says beside the code */
export function refusal(what: string, code: number, detail?: string | null): TidemarkError {
  const { type, message } = kafkaErrors.createErrorFromCode(code);
  const text = `${what}: ${detail ? detail : message} (${type})`;
  const extra = MOVING.includes(code) ? MOVES : {};
  return new TidemarkError(REFUSED.includes(type) ? 'broker_refused' : 'broker_unavailable', text, { extra });
}

export const unavailable = (what: string, cause?: unknown): TidemarkError =>
  new TidemarkError(
    'broker_unavailable',
    cause === undefined ? what : `${what}: ${messageOf(cause)}`,
    cause === undefined ? {} : { cause },
  );

/** Between two tries while a leader moves, or a new topic gets its leaders; milliseconds. */
const SHORTEST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 200;
/** For all of them. */
const MOVING_MS = 1_500;

/** Tries again, for a moment, what failed only as the partition has no leader, or another one than we knew. */
export async function whileMoving<T>(work: () => Promise<T>): Promise<T> {
  const until = performance.now() + MOVING_MS;
  for (let attempt = 0; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!isTidemarkError(error) || error.extra !== MOVES || performance.now() > until) throw error;
    }
    const pause = backoff(attempt, SHORTEST_PAUSE_MS, LONGEST_PAUSE_MS);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

/** What was thrown on the way to a broker, as an error of ours. */
export function translated(what: string, thrown: unknown): TidemarkError {
  if (isTidemarkError(thrown)) return thrown;
  const type: unknown = thrown instanceof Error && 'type' in thrown ? thrown.type : undefined;
  const refused =
    (typeof type === 'string' && REFUSED.includes(type)) ||
    (thrown instanceof Error && thrown.name === SASL_ERROR);
  const means = typeof type === 'string' && MEANS[type] ? ` (${MEANS[type]})` : '';
  return refused
    ? new TidemarkError('broker_refused', `${what}: ${messageOf(thrown)}${means}`, { cause: thrown })
    : unavailable(what, thrown);
}
