/**
 * What a start has to say about who can reach it. Rights that are off are for one's own machine: elsewhere a process does not
 * begin, and there is no variable to say otherwise. A page that others open needs its origin on the list.
 */
import type { AnyApp } from '../domain/app.js';
import { TidemarkError } from '../platform/errors.js';
import type { Logger } from '../platform/logger.js';
import { isLoopbackHost, LOOPBACK_ORIGINS } from '../platform/origins.js';
import type { Config } from './config.js';

/** @throws TidemarkError `rights_off` */
export function refuseOpenDoor(
  { auth, name }: Pick<AnyApp, 'auth' | 'name'>,
  { host }: Pick<Config, 'host'>,
): void {
  if (auth !== 'none' || isLoopbackHost(host)) return;
  throw new TidemarkError(
    'rights_off',
    `HOST=${host}: others can reach it, and ${name} lets everyone do everything (auth: 'none'): say in defineApp who may do what, or set HOST to 127.0.0.1`,
  );
}

/** Says what a page that is to be served lacks: without it the page would not be there, or could do nothing. */
export function warnOfPage(
  { host, origins, port, roles }: Pick<Config, 'host' | 'origins' | 'port' | 'roles'>,
  logger: Pick<Logger, 'warn'>,
): void {
  if (!roles.includes('api'))
    return logger.warn(
      { roles },
      'the page of --page is not served: a process without the role api has none',
    );
  if (isLoopbackHost(host) || origins.some((origin) => origin !== LOOPBACK_ORIGINS)) return;
  logger.warn(
    { host },
    `a page that is opened from another machine may not call this server: set TIDEMARK_ORIGINS to the address in the browser, such as http://<this machine>:${port}`,
  );
}
