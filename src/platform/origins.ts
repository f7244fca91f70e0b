/**
 * Who may call from a browser: the one Origin list (CORS and the socket) and the Host check against DNS rebinding.
 * A page cannot forge `Origin`; what is no browser sends none and is let through. DNS rebinding makes a foreign page
 * same-origin with a loopback server, and only the `Host` header gives it away.
 */
import { TidemarkError } from './errors.js';

/** Stands in the list for "any loopback host, any port, http or https". */
export const LOOPBACK_ORIGINS = 'loopback';

/** Characters of a header that a refusal repeats. */
const SHOWN_CHARS = 100;

export interface OriginPolicy {
  /** True where there is no Origin, or where it is on the list. */
  allows(origin: string | undefined): boolean;
}

export interface HostPolicy {
  /** @param header the `Host` header as it came; HTTP/1.0 may lack it, a browser never does */
  allows(header: string | undefined): boolean;
}

/** `localhost`, `*.localhost` (RFC 6761), 127.0.0.0/8 and ::1; brackets and a final dot do not matter. */
export function isLoopbackHost(host: string): boolean {
  const name = host
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '');
  if (name === 'localhost' || name.endsWith('.localhost') || name === '::1') return true;
  const parts = name.split('.');
  return (
    parts.length === 4 &&
    parts[0] === '127' &&
    parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)
  );
}

/** The origin in its canonical form (`https://host[:port]`, no default port), or undefined when `text` is none. */
export function canonicalOrigin(text: string): string | undefined {
  if (!/^https?:\/\/[^/?#@\\]+$/i.test(text)) return undefined;
  try {
    return new URL(text).origin;
  } catch {
    return undefined;
  }
}

/**
 * @param origins exact origins and/or `loopback`
 * @throws RangeError naming an entry that is neither
 */
export function originPolicy(origins: readonly string[] = [LOOPBACK_ORIGINS]): OriginPolicy {
  const loopback = origins.includes(LOOPBACK_ORIGINS);
  const exact = new Set(
    origins
      .filter((entry) => entry !== LOOPBACK_ORIGINS)
      .map((entry) => {
        const origin = canonicalOrigin(entry);
        if (origin === undefined) {
          throw new RangeError(
            `not an origin: ${JSON.stringify(entry)}; expected "${LOOPBACK_ORIGINS}" or https://host[:port]`,
          );
        }
        return origin;
      }),
  );
  return {
    allows(header) {
      if (header === undefined) return true;
      const origin = canonicalOrigin(header);
      if (origin === undefined) return false;
      return exact.has(origin) || (loopback && isLoopbackHost(new URL(origin).hostname));
    },
  };
}

/** Host name of a `Host` header, without its port; undefined when it is malformed. */
function hostName(header: string): string | undefined {
  const match = /^(\[[0-9a-f:.]+\]|[^:[\]/?#@\\\s]+)(?::\d{1,5})?$/i.exec(header);
  return match?.[1]?.toLowerCase();
}

/**
 * Bound to loopback, only loopback names and `hosts` are answered; bound elsewhere, everything is, unless `hosts` says
 * which names there are.
 * @param bound the address that the server listens on
 * @param hosts host names without ports
 */
export function hostPolicy(bound: string, hosts: readonly string[] = []): HostPolicy {
  const known = new Set(hosts.map((host) => host.toLowerCase()));
  const local = isLoopbackHost(bound);
  const checked = local || known.size > 0;
  return {
    allows(header) {
      if (!checked || header === undefined) return true;
      const name = hostName(header);
      return name !== undefined && (known.has(name) || isLoopbackHost(name));
    },
  };
}

/** A header for an answer: printable, and not longer than a name is. */
function shown(header: string | undefined): string {
  const text = (header ?? '').replace(/[^\x20-\x7e]/g, '?');
  return JSON.stringify(text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS)}…` : text);
}

/** @throws TidemarkError `forbidden_host`, `forbidden_origin` */
export function checkAccess(
  policies: { readonly origins: OriginPolicy; readonly hosts: HostPolicy },
  headers: { readonly host?: string | undefined; readonly origin?: string | undefined },
): void {
  if (!policies.hosts.allows(headers.host)) {
    throw new TidemarkError(
      'forbidden_host',
      `this server does not answer to the Host ${shown(headers.host)}; TIDEMARK_HOSTS has the names that it answers to`,
    );
  }
  if (!policies.origins.allows(headers.origin)) {
    throw new TidemarkError(
      'forbidden_origin',
      `the Origin ${shown(headers.origin)} is not on the list; TIDEMARK_ORIGINS has the pages that may call`,
    );
  }
}
