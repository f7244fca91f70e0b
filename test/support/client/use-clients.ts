/** Clients under a clock that the test moves. */
import { afterEach, beforeEach, vi } from 'vitest';

/**
 * For a whole file: the clock stands still in each test, and its clients are closed after it.
 * @returns notes a client
 */
export function useClients(): <Client extends { close(): void }>(client: Client) => Client {
  let clients: { close(): void }[] = [];
  beforeEach(() => {
    vi.useFakeTimers();
    clients = [];
  });
  afterEach(() => {
    for (const client of clients) client.close();
    vi.useRealTimers();
  });
  return (client) => {
    clients.push(client);
    return client;
  };
}
