/** How many sockets a process takes, and how many of one address: counted from open to close, looked at before the upgrade. */
import { isIP } from 'node:net';
import { isLoopbackHost } from '../../platform/origins.js';
import type { GatewaySettings } from '../options.js';

/** Why a socket is not let in. */
export type AdmissionRefusal = 'overloaded' | 'too_many_connections';

/**
 * Whose sockets are counted together: an IPv4 address, the /64 of an IPv6 one (whoever has one address of it has them
 * all). Callers on the same machine are not counted: mostly they are a proxy that nobody told us about.
 */
function counted(address: string): string | undefined {
  if (isLoopbackHost(address)) return undefined;
  if (isIP(address) !== 6) return address;
  const [head = '', tail] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0');
  return `${[...left, ...zeros, ...right].slice(0, 4).join(':')}::/64`;
}

export class Admission {
  readonly #settings: Pick<GatewaySettings, 'maxSockets' | 'maxSocketsPerAddress'>;
  readonly #byAddress = new Map<string, number>();
  #sockets = 0;

  constructor(settings: Pick<GatewaySettings, 'maxSockets' | 'maxSocketsPerAddress'>) {
    this.#settings = settings;
  }

  /** @param address of the client, in canonical form. @returns undefined when it may come in */
  refusal(address: string): AdmissionRefusal | undefined {
    if (this.#sockets >= this.#settings.maxSockets) return 'overloaded';
    const whose = counted(address);
    if (whose === undefined) return undefined;
    const open = this.#byAddress.get(whose) ?? 0;
    return open >= this.#settings.maxSocketsPerAddress ? 'too_many_connections' : undefined;
  }

  opened(address: string): void {
    this.#sockets++;
    const whose = counted(address);
    if (whose !== undefined) this.#byAddress.set(whose, (this.#byAddress.get(whose) ?? 0) + 1);
  }

  /** Called once for each `opened`. */
  closed(address: string): void {
    this.#sockets--;
    const whose = counted(address);
    if (whose === undefined) return;
    const left = (this.#byAddress.get(whose) ?? 1) - 1;
    if (left > 0) this.#byAddress.set(whose, left);
    else this.#byAddress.delete(whose);
  }
}
