/**
 * Finds out whether the real uWebSockets.js runs here. The registry's republish silently becomes a JavaScript stand-in
 * on an old `ws` where it has no binary (and prints to the console); we have a better adapter for that.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { messageOf } from '../../../platform/errors.js';

export type UwsLibrary = typeof import('uWebSockets.js');

/** The library, or why there is none. */
export type LoadedUws =
  { readonly library: UwsLibrary } | { readonly library: undefined; readonly reason: string };

const require = createRequire(import.meta.url);

export function loadUws(): LoadedUws {
  const binary = `uws_${process.platform}_${process.arch}_${process.versions.modules}.node`;
  let entry: string;
  try {
    entry = require.resolve('uWebSockets.js');
  } catch {
    return { library: undefined, reason: 'uWebSockets.js is not installed' };
  }
  // The official build keeps its binaries beside its entry, the republish in a folder of their own.
  const folder = dirname(entry);
  const places = [
    join(folder, binary),
    join(folder, 'binaries', binary),
    join(folder, '../binaries', binary),
  ];
  if (!places.some((place) => existsSync(place)))
    return {
      library: undefined,
      reason: `uWebSockets.js has no binary for Node ${process.versions.node} (${binary})`,
    };
  try {
    const library = require('uWebSockets.js') as UwsLibrary; // require() is untyped
    const isNative = Function.prototype.toString.call(library.App).includes('[native code]');
    return isNative
      ? { library }
      : { library: undefined, reason: 'the binary of uWebSockets.js does not load here' };
  } catch (error) {
    return { library: undefined, reason: `uWebSockets.js does not load: ${messageOf(error)}` };
  }
}
