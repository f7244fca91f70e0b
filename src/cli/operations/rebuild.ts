/** `tidemark projections rebuild`: the rows of a projection are thrown away and made again from its events. */
import { Command } from 'commander';
import { createRuntime } from '../../app/runtime.js';
import { TidemarkError } from '../../platform/errors.js';
import { createLogger } from '../../platform/logger.js';
import type { Database } from '../../platform/postgres/database.js';
import { rebuild, reportInCode } from '../../projections/operations/control.js';
import { countSkipped } from '../../projections/operations/parked-list.js';
import type { VersionReport } from '../../projections/operations/types.js';
import type { AppModule } from '../app-module.js';
import type { Connection } from '../connect.js';
import { count } from '../words.js';
import { confirm } from './confirm.js';
import { APP_OPTION, withApp } from './connect.js';
import { followUntilReady } from './follow.js';

interface Options {
  readonly app?: string;
  readonly yes?: boolean;
  readonly here?: boolean;
  readonly detach?: boolean;
  readonly json?: boolean;
}

const warning = ({ name, version, processes }: VersionReport, skipped: number): string =>
  `The rows of ${name} v${version} are thrown away and made again. Its view answers 503 projection_building until they are loaded` +
  `${processes === 0 ? '' : ` (${count(processes, 'process has', 'processes have')} it now)`}; raising the version of ${name} in the code has no such gap.` +
  (skipped === 0
    ? ''
    : ` ${count(skipped, 'event that was skipped is', 'events that were skipped are')} folded again, and parked again where the fold still cannot take them.`);

/** Runs `work` beside a projector in this process, which serves nothing and follows all projections of the application. */
async function besideProjector<T>(
  module: AppModule,
  connection: Connection,
  work: () => Promise<T>,
): Promise<T> {
  const logger = createLogger({
    level: 'warn',
    destination: { write: (line) => process.stderr.write(line) },
  });
  const config = {
    ...connection.config,
    databaseUrl: connection.url,
    roles: ['projector'] as const,
    host: '127.0.0.1',
    port: 0,
  };
  const runtime = createRuntime(module.app, config, { logger, appModule: module.file });
  try {
    await runtime.start();
    return await work();
  } finally {
    await runtime.stop();
  }
}

/** @throws TidemarkError `wrong_state` where it is not served without somebody’s help */
function tell(report: VersionReport, json: boolean): void {
  const { name, version, state, reason, ready, parkedKeys } = report;
  const title = `${name} v${version}`;
  if (json) console.log(JSON.stringify(report));
  if (ready) {
    if (!json) console.log(`${title} was built anew and is ${state}`);
    return;
  }
  const why = reason ?? report.stops[0]?.reason;
  const parked = `${count(parkedKeys, 'key is', 'keys are')} parked: see tidemark parked list ${name}`;
  throw new TidemarkError(
    'wrong_state',
    `${title} is ${state}${why === undefined ? '' : `: ${why}`}${parkedKeys > 0 ? `; ${parked}` : ''}`,
  );
}

async function run(
  db: Database,
  module: AppModule,
  connection: Connection,
  name: string,
  { yes = false, here = false, detach = false, json = false }: Options,
): Promise<void> {
  const { app } = module;
  const found = await reportInCode(db, app, name);
  await confirm(warning(found, await countSkipped(db, found)), yes);
  const done = async (): Promise<VersionReport> =>
    followUntilReady(db, await rebuild(db, app, name, { here }));
  if (here) return tell(await besideProjector(module, connection, done), json);
  if (!detach) return tell(await done(), json);
  const begun = await rebuild(db, app, name);
  const text = `${name} v${begun.version} is being built; see tidemark projections list ${name}`;
  console.log(json ? JSON.stringify(begun) : text);
}

export function rebuildCommand(projectDir: string): Command {
  return new Command('rebuild')
    .description('make the rows of a projection again from its events, in place: its view is down meanwhile')
    .argument('<projection>', 'in the version that is in the code')
    .option(...APP_OPTION)
    .option('--yes', 'do not ask')
    .option('--here', 'do the work in this process; else a running one with the role projector does it')
    .option('--detach', 'do not wait until it is done')
    .option('--json', 'print JSON')
    .action(async (name: string, options: Options) => {
      await withApp(projectDir, options.app, (db, module, connection) =>
        run(db, module, connection, name, options),
      );
    });
}
