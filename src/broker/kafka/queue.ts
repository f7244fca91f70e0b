/**
 * kafkajs looks at each connection’s queue of requests with a timer that never ends: about every millisecond, as the time
 * it computes is negative (tulios/kafkajs#1704), which newer Nodes also warn about (#1751). Here it looks only while something waits.
 */
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js';

/** Between two looks where nothing tells when it may be sent; as in kafkajs. */
const LOOK_MS = 10;

let done = false;

/** Mends the queues of all connections of this process, once. */
export function mendRequestQueue(): void {
  if (done) return;
  done = true;
  RequestQueue.prototype.scheduleCheckPendingRequests = function (): void {
    // What waits for an answer in flight is looked at when that comes; this is for what is throttled.
    if (this.throttleCheckTimeoutId !== null || this.pending.length === 0) return;
    const throttled = this.throttledUntil - Date.now();
    this.throttleCheckTimeoutId = setTimeout(
      () => {
        this.throttleCheckTimeoutId = null;
        this.checkPendingRequests();
      },
      throttled > 0 ? throttled : LOOK_MS,
    );
  };
}
