/**
 * The parts of kafkajs that it does not export and that we stand on, as far as we use them. kafkajs has had no release since
 * 2023, and its version is fixed in package.json; `test/unit/broker/kafka-internals.test.ts` shows that they are there.
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
