/** `npm test`: all suites, or those that the arguments name (they go to vitest). The last line counts the tests. */
import { prepare, ROOT } from './prepare.js';

await prepare();
const { parseCLI, startVitest } = await import('vitest/node');
process.chdir(ROOT);
const { filter, options } = parseCLI(['vitest', 'run', ...process.argv.slice(2)]);
const vitest = await startVitest('test', filter, { ...options, watch: false });
await vitest.close();

const counts = { passed: 0, failed: 0, skipped: 0 };
const failures = [];
for (const file of vitest.state.getTestModules()) {
  for (const test of file.children.allTests())
    counts[test.result().state === 'pending' ? 'failed' : test.result().state]++;
  // A file that broke before its tests were known counts as one.
  if (file.state() === 'failed' && [...file.children.allTests('failed')].length === 0) {
    counts.failed++;
    failures.push(file.relativeModuleId);
  }
}
for (const file of failures) console.log(`${file} failed outside of its tests`);
const errors = vitest.state.getUnhandledErrors().length;
if (errors > 0) console.log(`${errors} errors outside of tests`);
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exit(counts.failed > 0 || errors > 0 ? 1 : (process.exitCode ?? 0));
