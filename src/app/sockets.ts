/** Which socket engine runs here: uWebSockets.js where it loads, `ws` elsewhere, or the one that was asked for. */
import { TidemarkError } from '../platform/errors.js';
import type { Logger } from '../platform/logger.js';
import type { SocketEngine } from '../realtime/sockets/port.js';
import { uwsEngine } from '../realtime/sockets/uws/engine.js';
import { loadUws } from '../realtime/sockets/uws/load.js';
import { wsEngine } from '../realtime/sockets/ws/engine.js';

export type SocketEngineChoice = 'auto' | 'uws' | 'ws';

/** @throws TidemarkError `engine_unavailable` when `uws` was asked for and does not load */
export function chooseSocketEngine(choice: SocketEngineChoice, logger: Logger): SocketEngine {
  if (choice === 'ws') return wsEngine;
  const uws = loadUws();
  if (uws.library) return uwsEngine(uws.library);
  if (choice === 'uws') throw new TidemarkError('engine_unavailable', uws.reason);
  logger.info({ engine: wsEngine.name, reason: uws.reason }, 'sockets run on ws');
  return wsEngine;
}
