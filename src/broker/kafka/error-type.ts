/** What Kafka answered behind an error of kafkajs, which wraps what it tried again. */

const MAX_DEPTH = 5;

/** Whether one of the codes of Kafka’s protocol is the error’s, or one of its causes’. */
export function isOfType(thrown: unknown, ...types: readonly string[]): boolean {
  let error = thrown;
  for (let depth = 0; depth < MAX_DEPTH && error instanceof Error; depth++) {
    if ('type' in error && typeof error.type === 'string' && types.includes(error.type)) return true;
    error = error.cause;
  }
  return false;
}
