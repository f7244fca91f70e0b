/** A process of the version change e2e: `VERSION` of its projection, all roles. It prints where it is, and ends on SIGTERM. */
import { fileURLToPath } from 'node:url';
import { loadConfig } from '../../../src/app/config.js';
import { createRuntime } from '../../../src/app/runtime.js';
import { createLogger } from '../../../src/platform/logger.js';
import { appOf } from './parcels.js';

const version = process.env['VERSION'] === '2' ? 2 : 1;
const config = loadConfig(process.env);
const runtime = createRuntime(appOf(version), config, {
  logger: createLogger({ level: config.logLevel }),
  appModule: fileURLToPath(new URL(`../../support/parcels-v${version}-app.ts`, import.meta.url)),
  // What is there is loaded by a builder, as a long history would be.
  rebuildFrom: 500,
});
process.once('SIGTERM', () => void runtime.stop().then(() => process.exit(0)));
await runtime.start();
console.log(JSON.stringify(runtime.urls));
