/** Projectors in a process of their own, for tests that kill it or let it stand still. Argument: the database's URL. */
import { bank } from './bank.js';
import { startProjecting } from './projecting.js';

const [url = ''] = process.argv.slice(2);
const one = await startProjecting(url, bank, { beatMs: 50, tuning: { maxBatch: 50 } });
process.once('SIGTERM', () => void one.stop().then(() => process.exit(0)));
console.log('ready');
