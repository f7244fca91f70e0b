/** Paths of the realtime port. */

export const REALTIME_PATH = '/realtime';
export const STREAM_PATH = '/realtime/sse';
export const ASYNCAPI_PATH = '/asyncapi.json';
