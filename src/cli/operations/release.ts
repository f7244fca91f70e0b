/** `tidemark projections swap-view|prune`: what follows once a new version is served. */
import { Command } from 'commander';
import { dropTopicsOf, type DroppedTopics } from '../../app/version-topics.js';
import type { AnyApp } from '../../domain/app.js';
import { changeLogOf } from '../../projections/names.js';
import { prune, swapViewTo, type ViewSwap } from '../../projections/operations/release.js';
import type { PruneReport } from '../../projections/versions/prune.js';
import { loadAppModule, usualAppModule } from '../app-module.js';
import type { Connection } from '../connect.js';
import { withKafka } from '../doctor-kafka.js';
import { columns, parseDuration, parseVersion, wrapped } from '../words.js';
import { APP_OPTION, withOperations } from './connect.js';

interface SwapOptions {
  readonly to?: number;
  readonly lockTimeout: number;
  readonly json?: boolean;
}

const HOW: Readonly<Record<ViewSwap['views'][number]['how'], string>> = {
  unchanged: 'shows it already',
  replaced: 'shows it now',
  made_anew: 'was made anew, as a column went or changed its type, and shows it now',
  created: 'was made, and shows it now',
};

const swapText = ({ name, version, views }: ViewSwap): string =>
  views
    .map(({ view, from, how }) => {
      const before = from === null || how === 'unchanged' ? '' : ` (before: v${from})`;
      return `${name} v${version}: the view ${view} ${HOW[how]}${before}`;
    })
    .join('\n');

export function swapViewCommand(projectDir: string): Command {
  return new Command('swap-view')
    .description('have the SQL view of a projection show another version')
    .argument('<projection>')
    .option('--to <version>', 'the newest that is not retired without it', parseVersion)
    .option('--lock-timeout <time>', 'how long to wait for those who read it', parseDuration, 5_000)
    .option('--json', 'print JSON')
    .action(async (name: string, { to, lockTimeout, json }: SwapOptions) => {
      await withOperations(projectDir, async (db) => {
        const swap = await swapViewTo(db, { name, version: to }, { lockTimeoutMs: Math.max(1, lockTimeout) });
        console.log(json ? JSON.stringify(swap) : swapText(swap));
      });
    });
}

interface PruneOptions {
  readonly app?: string;
  readonly grace: number;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** The application, where there is one to find: its versions are kept. One that is there and cannot be loaded is a failure. */
async function appIfThere(projectDir: string, given: string | undefined): Promise<AnyApp | undefined> {
  if (given === undefined && (await usualAppModule(projectDir)) === undefined) return undefined;
  return (await loadAppModule(projectDir, given)).app;
}

/** Their topics, where there is a Kafka; which they are is known by the name of the application. */
async function dropTopics(
  { dropped }: PruneReport,
  app: AnyApp | undefined,
  { config }: Connection,
): Promise<DroppedTopics | undefined> {
  if (!config.kafka) return undefined;
  if (app)
    return withKafka(app.name, config.kafka, (publisher) => dropTopicsOf(dropped, app.name, publisher));
  const why = 'nobody knows the name of the application: see --app';
  const kept = dropped.map((one) => ({ topic: `….${changeLogOf(one)}.changes`, why }));
  return { dropped: [], kept };
}

const topicsText = ({ dropped, kept }: DroppedTopics, width: number): string[] => [
  ...dropped.map((topic) => `topic ${topic} was dropped`),
  ...kept.flatMap(({ topic, why }) =>
    wrapped(`topic ${topic} is kept: ${why}; drop it with Kafka's tools`, width),
  ),
];

function pruneText({ dropped, kept }: PruneReport, dryRun: boolean, width: number): string {
  const done = dryRun ? 'would be dropped' : 'was dropped';
  return [
    ...dropped.map(({ name, version }) => `${name} v${version} ${done}`),
    ...(dropped.length === 0 ? ['nothing to drop'] : []),
    ...kept.flatMap(({ name, version, why }) => wrapped(`${name} v${version} is kept: ${why}`, width)),
  ].join('\n');
}

export function pruneCommand(projectDir: string): Command {
  return new Command('prune')
    .description('drop the tables of versions that no process, no view and no grace time holds any more')
    .option('--grace <time>', 'keep what was served within this time', parseDuration, 86_400_000)
    .option('--dry-run', 'say what would be dropped, and drop nothing')
    .option(
      APP_OPTION[0],
      'module of the application, whose versions are kept; where there is none, the newest of each projection is',
    )
    .option('--json', 'print JSON')
    .action(async ({ app: given, grace, dryRun = false, json }: PruneOptions) => {
      const app = await appIfThere(projectDir, given);
      await withOperations(projectDir, async (db, connection) => {
        const report = await prune(db, { app, graceMs: grace, dryRun });
        const topics = dryRun ? undefined : await dropTopics(report, app, connection);
        const text = [
          pruneText(report, dryRun, columns()),
          ...(topics ? topicsText(topics, columns()) : []),
        ].join('\n');
        console.log(json ? JSON.stringify({ ...report, ...(topics && { topics }) }) : text);
      });
    });
}
