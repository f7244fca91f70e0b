/** Binding to an address, with errors that name the variable to change. */
import { isIPv6 } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { TidemarkError } from '../../platform/errors.js';

export interface Address {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
}

/** @param variable environment variable that the port came from */
export function listenFailure(address: Address, variable: string, cause: unknown): unknown {
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined;
  const where = `${showHost(address.host)}:${address.port}`;
  switch (code) {
    case 'EADDRINUSE':
      return new TidemarkError(
        'address_in_use',
        `${variable}: ${where} is in use by another process; stop it, or set ${variable} to another port (0 takes a free one)`,
        { cause },
      );
    case 'EACCES':
      return new TidemarkError('address_refused', `${variable}: this user may not listen on ${where}`, {
        cause,
      });
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new TidemarkError('address_refused', `HOST: ${address.host} is no address of this machine`, {
        cause,
      });
    default:
      return cause;
  }
}

const showHost = (host: string): string => (isIPv6(host) ? `[${host}]` : host);

/** Host as it goes into a URL that is opened on this machine: a wildcard address is none to call. */
export function urlHost(host: string): string {
  return host === '0.0.0.0' || host === '::' ? 'localhost' : showHost(host);
}

/**
 * @returns the port that was bound
 * @throws TidemarkError `address_in_use`, `address_refused`
 */
export async function listen(server: FastifyInstance, address: Address, variable: string): Promise<number> {
  try {
    await server.listen({ host: address.host, port: address.port });
  } catch (error) {
    throw listenFailure(address, variable, error);
  }
  const bound = server.server.address();
  return typeof bound === 'object' && bound !== null ? bound.port : address.port;
}
