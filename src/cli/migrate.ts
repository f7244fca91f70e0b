/** `tidemark migrate`: brings the schema to what this version of Tidemark needs. */
import { Command } from 'commander';
import { migrate } from '../platform/postgres/migrate.js';
import { withDatabase } from './connect.js';
import type { Surroundings } from './program.js';

export function migrateCommand({ projectDir }: Surroundings): Command {
  return new Command('migrate')
    .description('bring the schema up to date; safe beside running processes')
    .option('--json', 'print JSON')
    .action(async ({ json }: { json?: boolean }) => {
      await withDatabase({ projectDir, create: true }, async ({ database, shown }) => {
        const report = await migrate(database);
        if (json) return console.log(JSON.stringify({ schema: database.schema, ...report }));
        const done = report.applied.length > 0 ? `applied ${report.applied.join(', ')}` : 'nothing to do';
        console.log(`${shown}: schema "${database.schema}" is at ${report.version}, ${done}`);
      });
    });
}
