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
const firstLine = (error) => String(error?.message ?? error ?? 'no reason was given').split('\n', 1)[0];
for (const file of vitest.state.getTestModules()) {
  const of = file.relativeModuleId;
  for (const test of file.children.allTests()) {
    const { state, errors } = test.result();
    const counted = state === 'pending' ? 'failed' : state;
    counts[counted]++;
    if (counted === 'failed') failures.push(`${of} > ${test.fullName}: ${firstLine(errors?.[0])}`);
  }
  // A file that broke before its tests were known counts as one.
  if (file.state() === 'failed' && [...file.children.allTests('failed')].length === 0) {
    counts.failed++;
    failures.push(`${of}, outside of its tests: ${firstLine(file.errors()[0])}`);
  }
}
const strays = vitest.state.getUnhandledErrors();
for (const error of strays) failures.push(`outside of all tests: ${firstLine(error)}`);
// The last lines: whoever sees the end only sees what is wrong (and .ci/run repeats them at its own end).
for (const failure of failures) console.log(`failed: ${failure}`);
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exit(failures.length > 0 ? 1 : (process.exitCode ?? 0));
