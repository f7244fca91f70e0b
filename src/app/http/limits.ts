/** Limits that more than one part of the HTTP server goes by. */

/** A longer URL is 414; Node’s parser stops at the limit of all headers, which is larger. */
export const MAX_URL_CHARS = 16 * 1024;
