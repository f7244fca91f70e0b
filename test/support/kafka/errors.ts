/** What goes wrong with a Kafka of our own, in a line each. */

/** No Java or no Maven on this machine, or Maven could not fetch; the message says which, and what to do. */
export class NoKafka extends Error {}

/** A broker did not start; the message says why. */
export class KafkaStartError extends Error {}

/** Of the ports that were free a moment ago. */
export class PortTaken extends KafkaStartError {}
