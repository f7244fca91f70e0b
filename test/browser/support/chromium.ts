/** The browser of the machine: found, started without a window, and gone with the test file. */
import { accessSync, constants } from 'node:fs';
import { chromium, type Browser } from 'playwright-core';
import { afterAll, beforeAll, describe } from 'vitest';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

function find(): string | undefined {
  const given = process.env['TIDEMARK_TEST_CHROMIUM'];
  return (given ? [given] : PLACES).find((place) => {
    try {
      accessSync(place, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** It takes half a second, and long where everything else is tested beside it. */
export const START_MS = 120_000;

const executablePath = find();
if (executablePath === undefined) {
  const what = `no browser: ${PLACES.join(', ')} (Debian: apt-get install chromium; TIDEMARK_TEST_CHROMIUM names another)`;
  // CI installs one: without it, its tests would pass by not running.
  if (process.env['CI'] === 'true') throw new Error(what);
  console.warn(`\n!!! Tests of the page are SKIPPED: ${what}\n`);
}

/** A suite that needs a browser. */
export const describeBrowser = describe.skipIf(executablePath === undefined);

/** The browser of a test file, started before its tests. */
export function useBrowser(): { readonly get: () => Browser } {
  let browser: Browser | undefined;
  beforeAll(async () => {
    browser = await chromium.launch({
      executablePath: executablePath ?? '',
      // As root, in containers, there is no sandbox.
      chromiumSandbox: process.getuid?.() !== 0,
      args: ['--disable-gpu', '--disable-dev-shm-usage'],
      timeout: START_MS,
    });
  }, START_MS);
  afterAll(() => browser?.close());
  return {
    get() {
      if (!browser) throw new Error('the browser is started before all tests');
      return browser;
    },
  };
}
