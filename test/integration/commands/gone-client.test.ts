/** A client that goes away while its command waits takes the command with it; one whose turn has come is served. */
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { createHttpServer } from '../../../src/app/http/server.js';
import { registerCommandRoutes } from '../../../src/commands/http.js';
import { silentLogger } from '../../../src/platform/logger.js';
import { hostPolicy, originPolicy } from '../../../src/platform/origins.js';
import { gate, startCommands, type CommandProcess } from '../../support/commands.js';
import { ledgerApp, type LedgerHooks } from '../../support/ledger.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { rightsOff } from '../../support/rights.js';

const hooks: LedgerHooks = {};
const app = ledgerApp(hooks);
const server = createHttpServer({
  logger: silentLogger,
  access: { origins: originPolicy(), hosts: hostPolicy('127.0.0.1') },
});
let pg: FreshDatabase;
let commands: CommandProcess;

beforeAll(async () => {
  pg = await freshDatabase();
  commands = await startCommands(pg.url, app);
  registerCommandRoutes(server, { ...rightsOff, app, bus: commands.bus });
  await server.listen({ host: '127.0.0.1', port: 0 });
});

afterAll(async () => {
  await server.close();
  await commands?.stop();
  await pg?.drop();
});

it('only what has not begun is taken back', async () => {
  const { opened, open } = gate();
  hooks.rate = async () => (await opened, 1);
  const { port } = server.server.address() as AddressInfo; // a TCP server's address is never a string
  const send = () => {
    const socket = connect(port, '127.0.0.1');
    const body = '{"by":1}';
    socket.write(
      `POST /commands/ledger/left/addRated HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    return socket;
  };
  const stats = () => commands.bus.stats;
  const running = send();
  await vi.waitFor(() => expect(stats()).toMatchObject({ inFlight: 1, waiting: 0 }), 60_000);
  const waiting = send();
  await vi.waitFor(() => expect(stats()).toMatchObject({ inFlight: 2, waiting: 1 }), 60_000);
  waiting.destroy();
  await vi.waitFor(() => expect(stats()).toMatchObject({ inFlight: 1, waiting: 0 }), 60_000);
  running.destroy();
  open();
  await vi.waitFor(() => expect(stats().inFlight).toBe(0), 60_000);
  expect(await commands.store.readStream({ category: 'ledger', streamId: 'left', limit: 9 })).toHaveLength(1);
  expect(commands.finished.map(({ outcome, code }) => [outcome, code])).toEqual([
    ['failed', 'aborted'],
    ['appended', undefined],
  ]);
});
