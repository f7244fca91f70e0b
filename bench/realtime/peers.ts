/** What Tidemark's gateway is measured against: uWebSockets.js without anything around it, and a loop over `ws`. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { us_listen_socket } from 'uWebSockets.js';
import { WebSocketServer } from 'ws';
import { loadUws } from '../../src/realtime/sockets/uws/load.js';
import { FRAME, listening, type OpenSubject } from './subject.js';

const TOPIC = 'all';

/** The machine's own limit: publish to a topic, of a text that is there already. */
export const openUws: OpenSubject = async () => {
  const { library } = loadUws();
  if (!library) throw new Error('there is no uWebSockets.js here to measure against');
  const app = library.App();
  app.ws('/*', {
    compression: library.DISABLED,
    idleTimeout: 60,
    maxBackpressure: 64 * 1024 * 1024,
    open: (ws) => void ws.subscribe(TOPIC),
  });
  const token = await new Promise<us_listen_socket | false>((resolve) => {
    app.listen('127.0.0.1', 0, resolve);
  });
  if (!token) throw new Error('uWebSockets.js does not listen');
  return {
    greeting: listening(library.us_socket_local_port(token)),
    publish(changes) {
      for (let n = 0; n < changes; n++) app.publish(TOPIC, FRAME, false, false);
    },
  };
};

/** As it stands in the documents of `ws`: a loop over its clients. */
export const openWs: OpenSubject = async () => {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
  server.on('connection', (socket) => socket.on('error', () => undefined));
  await once(server, 'listening');
  return {
    greeting: listening((server.address() as AddressInfo).port), // a TCP server's address is never a string
    publish(changes) {
      for (let n = 0; n < changes; n++) for (const client of server.clients) client.send(FRAME);
    },
  };
};
