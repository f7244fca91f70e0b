/** Who a request to the realtime port comes from, and what it shows: nothing of it is believed yet. */
import { credentialsIn } from '../../rights/credentials.js';
import type { Caller, SocketRequest } from '../sockets/port.js';
import type { SocketRights } from './rights.js';

export interface CallerOptions {
  /** Address of the client, by the peer's address and `X-Forwarded-For`. */
  readonly clientAddress: (peer: string, forwardedFor: string | undefined) => string;
  readonly rights: Pick<SocketRights, 'off' | 'cookie'>;
}

/** @throws TidemarkError `unauthenticated` where what it shows cannot be read */
export const callerOf = (request: SocketRequest, { clientAddress, rights }: CallerOptions): Caller => ({
  address: clientAddress(request.remoteAddress, request.forwardedFor),
  credentials: rights.off ? undefined : credentialsIn(request, rights.cookie),
});
