/** W3C trace context: https://www.w3.org/TR/trace-context/#traceparent-header, version 00. */
const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** One that is not valid is as if it were not there, as W3C wants it. */
export const isTraceparent = (text: string): boolean => TRACEPARENT.test(text);
