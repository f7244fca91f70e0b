/** `tidemark projections pause|resume`. */
import { Command } from 'commander';
import { pause, resume, type Which } from '../../projections/operations/control.js';
import type { VersionReport } from '../../projections/operations/types.js';
import type { Database } from '../../platform/postgres/database.js';
import { parseVersion } from '../words.js';
import { withOperations } from './connect.js';

interface Options {
  readonly version?: number;
  readonly json?: boolean;
}

function command(
  name: string,
  description: string,
  projectDir: string,
  act: (db: Database, which: Which) => Promise<VersionReport>,
): Command {
  return new Command(name)
    .description(description)
    .argument('<projection>')
    .option('--version <number>', 'the newest that is not retired without it', parseVersion)
    .option('--json', 'print JSON')
    .action(async (projection: string, { version, json }: Options) => {
      await withOperations(projectDir, async (db) => {
        const report = await act(db, { name: projection, version });
        console.log(json ? JSON.stringify(report) : `${report.name} v${report.version} is ${report.state}`);
      });
    });
}

export const pauseCommand = (projectDir: string): Command =>
  command('pause', 'stop a projection: no event comes in until it is resumed', projectDir, pause);

export const resumeCommand = (projectDir: string): Command =>
  command('resume', 'have a projection go on that is paused or has halted', projectDir, resume);
