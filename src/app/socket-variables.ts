/** The variables that say how many sockets a process takes. */
import { integer } from './variables.js';

const sockets = (description: string, byDefault: number) =>
  integer('a whole number from 1 to 1000000', description, 1, 1_000_000).default(byDefault);

export const socketVariables = {
  TIDEMARK_MAX_SOCKETS: sockets(
    'Sockets (and streams of server-sent events) of this process at the most; beyond it, 503. Each takes a file handle.',
    20_000,
  ),
  TIDEMARK_MAX_SOCKETS_PER_ADDRESS: sockets(
    'Of them, of one client address (of one /64 with IPv6); beyond it, 429. Callers on the same machine are not counted.',
    1_000,
  ),
  TIDEMARK_MAX_SOCKETS_PER_PRINCIPAL: sockets(
    'Of them, of one principal (the anonymous one is not counted); the next is closed with 4006.',
    100,
  ),
};

export interface SocketLimits {
  readonly maxSockets: number;
  readonly maxSocketsPerAddress: number;
  readonly maxSocketsPerPrincipal: number;
}

export const socketLimits = (values: Readonly<Record<keyof typeof socketVariables, number>>): SocketLimits =>
  Object.freeze({
    maxSockets: values.TIDEMARK_MAX_SOCKETS,
    maxSocketsPerAddress: values.TIDEMARK_MAX_SOCKETS_PER_ADDRESS,
    maxSocketsPerPrincipal: values.TIDEMARK_MAX_SOCKETS_PER_PRINCIPAL,
  });
