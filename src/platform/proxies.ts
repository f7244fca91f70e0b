/** Who a request comes from where proxies stand between: `X-Forwarded-For`, believed of those that are trusted only. */
import { BlockList, isIP, SocketAddress } from 'node:net';

/** The same names as fastify has for HTTP. */
const NAMED: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1/128'],
  linklocal: ['169.254.0.0/16', 'fe80::/10'],
  uniquelocal: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
};

/** True: every proxy; else addresses, CIDR ranges, and `loopback`, `linklocal`, `uniquelocal`. */
export type TrustedProxies = boolean | readonly string[];

/**
 * One text for each address: IPv4 in IPv6 becomes IPv4, zones and ports go, IPv6 is written short. What is no address
 * stays as it is, cut to 64 characters.
 */
export function canonicalAddress(text: string): string {
  const bare = /^\[([^\]]*)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text;
  const [address = ''] = bare.split('%', 1);
  if (isIP(address) !== 6) return address.slice(0, 64);
  const short = new SocketAddress({ address, family: 'ipv6' }).address;
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(short)?.[1] ?? short;
}

interface Range {
  readonly net: string;
  readonly prefix: number;
  readonly family: 'ipv4' | 'ipv6';
}

function rangeOf(text: string): Range | undefined {
  const [net = '', bits, ...more] = text.split('/');
  const version = isIP(net);
  const widest = version === 6 ? 128 : 32;
  const prefix = bits === undefined ? widest : /^\d{1,3}$/.test(bits) ? Number(bits) : Infinity;
  if (version === 0 || prefix > widest || more.length > 0) return undefined;
  return { net, prefix, family: version === 6 ? 'ipv6' : 'ipv4' };
}

const rangesOf = (text: string): readonly (Range | undefined)[] =>
  (NAMED[text.toLowerCase()] ?? [text]).map(rangeOf);

/** An address, a CIDR range, `loopback`, `linklocal` or `uniquelocal`. */
export const isProxyRange = (text: string): boolean => !rangesOf(text).includes(undefined);

/** @throws RangeError naming a range that is none */
function trustedRanges(texts: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const text of texts) {
    for (const range of rangesOf(text)) {
      if (!range) throw new RangeError(`not an address or CIDR range: ${JSON.stringify(text)}`);
      list.addSubnet(range.net, range.prefix, range.family);
    }
  }
  return (address) => {
    const version = isIP(address);
    return version !== 0 && list.check(address, version === 6 ? 'ipv6' : 'ipv4');
  };
}

/**
 * How the client's address is found: from the peer back through `X-Forwarded-For`, up to the first that is not trusted.
 * @returns a function of the peer's address and the header (all of its lines, joined by commas)
 * @throws RangeError naming a range that is none
 */
export function clientAddresses(
  trusted: TrustedProxies,
): (peer: string, forwardedFor: string | undefined) => string {
  if (trusted === false) return (peer) => canonicalAddress(peer);
  const isTrusted = trusted === true ? () => true : trustedRanges(trusted);
  return (peer, forwardedFor) => {
    let address = canonicalAddress(peer);
    const hops = (forwardedFor ?? '').split(',').map((hop) => hop.trim());
    for (let hop = hops.pop(); hop !== undefined && isTrusted(address); hop = hops.pop())
      if (hop !== '') address = canonicalAddress(hop);
    return address;
  };
}
