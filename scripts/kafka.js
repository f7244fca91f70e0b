/** `npm run kafka [-- --brokers 3 --port 9092]`: a real Kafka for development, on this machine, until it is interrupted. */
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { prepare, ROOT } from './prepare.js';

await prepare();
const { register } = await import('tsx/esm/api');
process.env['TSX_TSCONFIG_PATH'] ??= path.join(ROOT, 'tsconfig.json');
register();
await import(pathToFileURL(path.join(ROOT, 'test/support/kafka/run.ts')).href);
