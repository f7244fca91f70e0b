/**
 * What a front end imports where networks may let no WebSocket through: `tidemark/client/sse`. It is one option of the
 * client, and in nobody’s page who does not import it.
 */
import type { SocketConstructor, SocketLike } from '../options.js';
import { SocketChoice } from './choice.js';
import type { SseOptions } from './settings.js';

export type { SseOptions } from './settings.js';

/**
 * `createClient({ WebSocket: webSocketOrSse() })`: WebSockets, and where two in a row found no gateway but HTTP finds one,
 * server-sent events, with the same frames, rights and cursors. While those are used, a WebSocket is tried now and then, and
 * taken as soon as one gets through. Nothing is lost on either way: subscriptions go on from their positions.
 */
export function webSocketOrSse(options: SseOptions = {}): SocketConstructor {
  const choice = new SocketChoice(options);
  // What a constructor returns is what `new` gives.
  return function choose(url: string, protocol: string): SocketLike {
    return choice.open(url, protocol);
  } as unknown as SocketConstructor;
}
