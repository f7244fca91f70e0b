/** Socket.IO as it comes, over WebSocket only, as a subject of the realtime benchmarks. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { FRAME } from '../realtime/subject.ts';

export async function openSocketIo() {
  const http = createServer();
  // No pings while it is measured: clients only listen.
  const io = new Server(http, { transports: ['websocket'], pingInterval: 3_600_000 });
  io.on('connection', (socket) => socket.join('all'));
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const change = JSON.parse(FRAME);
  return {
    greeting: {
      port: http.address().port,
      path: '/socket.io/?EIO=4&transport=websocket',
      sends: [{ after: '0{', text: '40' }],
      readyAfter: '40{',
      resumes: false,
    },
    publish(changes) {
      for (let n = 0; n < changes; n++) io.to('all').emit('chg', change);
    },
  };
}
