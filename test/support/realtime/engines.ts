/** The socket engines that run here. */
import type { SocketEngine } from '../../../src/realtime/sockets/port.js';
import { uwsEngine } from '../../../src/realtime/sockets/uws/engine.js';
import { loadUws } from '../../../src/realtime/sockets/uws/load.js';
import { wsEngine } from '../../../src/realtime/sockets/ws/engine.js';

const uws = loadUws();

export const engines: readonly SocketEngine[] = uws.library ? [uwsEngine(uws.library), wsEngine] : [wsEngine];
