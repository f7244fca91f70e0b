/**
 * Who may operate: whom the rule `operate` allows, or callers on the machine itself where rights are off. There the socket
 * decides, not what a header says of it; and what came through a proxy, as its headers show, came from elsewhere.
 */
import type { FastifyRequest } from 'fastify';
import { TidemarkError } from '../../../platform/errors.js';
import { isLoopbackHost } from '../../../platform/origins.js';

/** Headers by which proxies tell for whom they ask. `X-Forwarded-…` beside them, whatever comes after it. */
const OF_PROXIES: ReadonlySet<string> = new Set([
  'forwarded',
  'via',
  'x-real-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-original-forwarded-for',
  'x-envoy-external-address',
  'true-client-ip',
  'cf-connecting-ip',
  'fastly-client-ip',
]);

/** An address of the machine itself: 127.0.0.0/8 or ::1, also as IPv6 writes an IPv4 one. */
export function isLoopbackAddress(address: string | undefined): boolean {
  if (address === undefined) return false;
  return isLoopbackHost(address.toLowerCase().replace(/^::ffff:(?=\d+\.)/, ''));
}

/** The name in a `Host` header, without its port. */
const nameOf = (host: string): string => host.replace(/:\d*$/, '');

const refused = (why: string): TidemarkError =>
  new TidemarkError('loopback_only', `/ops/… is for callers on this machine: ${why}`);

/**
 * Where rights are off. To be called before the body is read, and after the checks of Host and Origin that every request
 * goes through.
 * @throws TidemarkError `loopback_only`
 */
export function admitLocal(request: FastifyRequest): void {
  // Not `request.ip`, which believes X-Forwarded-For where a proxy is trusted.
  if (!isLoopbackAddress(request.raw.socket.remoteAddress)) throw refused('this one is not');
  const forwarded = Object.keys(request.raw.headers).find(
    (name) => OF_PROXIES.has(name) || name.startsWith('x-forwarded'),
  );
  if (forwarded !== undefined)
    throw refused(`the header ${forwarded} says that a proxy asks for somebody else`);
  // A page of another site, under a name that was made to lead here (DNS rebinding), is no caller on this machine.
  const { host } = request.raw.headers;
  if (host !== undefined && !isLoopbackHost(nameOf(host)))
    throw refused('call it by a loopback name, like localhost');
}

/**
 * @throws TidemarkError `unsupported_media_type` where the body may be a form's, as a page may send one to anywhere without
 *   being asked, and the browser its cookies with it
 */
export function refuseForms(request: FastifyRequest): void {
  const type = request.raw.headers['content-type'];
  if (request.method !== 'GET' && type !== undefined && !/^application\/json\s*(;|$)/i.test(type.trim())) {
    throw new TidemarkError(
      'unsupported_media_type',
      'the body must be JSON (Content-Type: application/json), or absent without a Content-Type',
    );
  }
}
