/** Why a port could not be had, in words. uWebSockets.js only says that it could not; Node is asked for the reason. */
import { createServer } from 'node:net';
import { messageOf, TidemarkError } from '../../platform/errors.js';

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is in use',
  EACCES: 'the port may not be used by this user',
  EADDRNOTAVAIL: 'the address is not one of this machine',
};

/** @param error what Node's listen failed with, when it is known already */
export async function listenFailure(host: string, port: number, error?: unknown): Promise<TidemarkError> {
  const cause = error ?? (await probe(host, port));
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? String(cause.code) : '';
  const reason = REASONS[code] ?? (cause === undefined ? 'the port could not be taken' : messageOf(cause));
  return new TidemarkError(
    'listen_failed',
    `the realtime socket cannot listen on ${host}:${port}: ${reason}`,
    {
      cause,
    },
  );
}

const probe = (host: string, port: number): Promise<unknown> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', resolve);
    server.listen(port, host, () => server.close(() => resolve(undefined)));
  });
