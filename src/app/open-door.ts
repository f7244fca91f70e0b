/** Rights that are off are for one's own machine: elsewhere a process does not begin. There is no variable to say otherwise. */
import type { AnyApp } from '../domain/app.js';
import { TidemarkError } from '../platform/errors.js';
import { isLoopbackHost } from '../platform/origins.js';
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
