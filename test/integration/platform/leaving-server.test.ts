/** A Postgres that says goodbye in the packet that lets a client in, as one does whose postmaster was killed. */
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { silentLogger as logger } from '../../../src/platform/logger.js';
import { Database } from '../../../src/platform/postgres/database.js';

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

const WELCOME = Buffer.concat([
  message('R', Buffer.alloc(4)), // authenticated
  message('Z', Buffer.from('I')), // ready for a query
]);
const GOODBYE = message('E', Buffer.from('SFATAL\0C57P01\0Mterminating connection\0\0'));

it('fails what was asked, and ends no process', async () => {
  const server = createServer((socket) => {
    socket.once('data', () => socket.end(Buffer.concat([WELCOME, GOODBYE])));
    socket.on('error', () => undefined);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const connectionString = `postgres://somebody:secret@127.0.0.1:${port}/any`;
  const db = new Database({ connectionString, schema: 'tidemark', role: 'test', logger });
  onTestFinished(() => db.end());
  await expect(db.transaction((tx) => tx.query('SELECT 1'))).rejects.toThrow();
  await expect(db.query('SELECT 1')).rejects.toThrow();
  await expect(
    db.connect().then(async (session) => {
      try {
        await session.query('SELECT 1');
      } finally {
        session.release(true);
      }
    }),
  ).rejects.toThrow();
});
