// Watches the orders of one customer on the realtime socket, and goes on from its position after a dropped connection.
// Usage: node examples/orders/watch.js <customerId> [ws://127.0.0.1:3001/realtime]
import WebSocket from 'ws';

const [customerId, url = 'ws://127.0.0.1:3001/realtime'] = process.argv.slice(2);
if (!customerId) {
  console.error('usage: node examples/orders/watch.js <customerId> [url]');
  process.exit(1);
}

/** Where this client stands: the epoch of the change log, and the last seq that was applied in each shard. */
let position;
let backoffMs = 250;

const show = (key, row) =>
  console.log(row === null ? `${key}  (gone)` : `${key}  ${row.status}  ${row.totalCents} cents`);

function connect() {
  const socket = new WebSocket(url, 'tidemark.v1');
  const send = (frame) => socket.send(JSON.stringify(frame));
  /** Positions that a snapshot or replay has reached; they count once `live` says that it is complete. */
  const last = new Map(position?.pos);

  socket.on('open', () => {
    backoffMs = 250;
    send({
      t: 'sub',
      id: 'orders',
      view: 'order_summary',
      where: { customerId },
      ...(position && { from: position }),
    });
  });
  socket.on('message', (text) => {
    const frame = JSON.parse(text);
    switch (frame.t) {
      case 'snap':
        for (const [key, , row] of frame.rows) show(key, row);
        break;
      case 'live':
        last.clear();
        for (const [shard, seq] of frame.pos) last.set(shard, seq);
        position = { epoch: frame.epoch, pos: [...last] };
        console.log(`-- live (${customerId})`);
        break;
      case 'chg':
        for (const [shard, p, s, rows] of frame.d) {
          const seen = last.get(shard) ?? 0;
          if (s <= seen) continue; // a repeat
          if (p > seen) return socket.close(); // something is missing: come back with the position
          for (const [key, , row] of rows) show(key, row);
          last.set(shard, s);
        }
        if (position) position = { ...position, pos: [...last] };
        break;
      case 'reset':
        position = undefined;
        last.clear();
        console.log(`-- reset (${frame.reason})`);
        break;
      case 'err':
        console.error(`-- ${frame.code}: ${frame.message}`);
        break;
    }
  });
  socket.on('error', () => undefined); // `close` follows
  socket.on('close', (code) => {
    if (code >= 4500) return console.error(`-- closed for good (${code})`);
    setTimeout(connect, backoffMs * (0.5 + Math.random()));
    backoffMs = Math.min(backoffMs * 2, 5_000);
  });
}

connect();
