/** `tidemark streams`: what event logs there are, the streams of one, the events of a stream. */
import { Command } from 'commander';
import { listCategories, listStreams } from '../event-store/listing.js';
import { readStream } from '../event-store/reads.js';
import { eventStoreStatements } from '../event-store/statements.js';
import { TidemarkError } from '../platform/errors.js';
import type { Database } from '../platform/postgres/database.js';
import { withDatabase } from './connect.js';
import type { Surroundings } from './program.js';
import { positive } from './words.js';

interface StreamsOptions {
  readonly from?: number;
  readonly after?: string;
  readonly limit: number;
  readonly json?: boolean;
}

async function categories(database: Database, { json }: StreamsOptions): Promise<void> {
  const found = await listCategories(database);
  if (json) return console.log(JSON.stringify(found));
  if (found.length === 0) console.log('no event logs yet');
  for (const one of found) console.log(`${one.category}\t${one.events} events in ${one.shards} shards`);
}

async function streams(database: Database, category: string, options: StreamsOptions): Promise<void> {
  const found = await listStreams(database, category, options.after ?? '', options.limit);
  if (options.json) return console.log(JSON.stringify(found));
  if (found.length === 0) {
    const known = (await listCategories(database)).map((each) => each.category);
    if (!known.includes(category))
      throw new TidemarkError(
        'unknown_aggregate',
        `there is no event log "${category}" (there are: ${known.join(', ') || 'none'})`,
      );
  }
  for (const { streamId, version, type, recordedAt } of found)
    console.log(`${streamId}\tversion ${version}\t${type}\t${recordedAt}`);
  if (found.length === options.limit) console.log(`more: --after ${JSON.stringify(found.at(-1)?.streamId)}`);
}

async function events(
  database: Database,
  category: string,
  streamId: string,
  options: StreamsOptions,
): Promise<void> {
  const read = { category, streamId, from: options.from ?? 1, limit: options.limit };
  const found = await readStream(database, eventStoreStatements(database), read);
  if (found.length === 0 && options.from === undefined)
    throw new TidemarkError('stream_not_found', `there is no stream ${category}/${streamId}`);
  if (options.json) return console.log(JSON.stringify(found));
  for (const { version, type, recordedAt, shard, seq, data } of found)
    console.log(`${version}\t${type}\t${recordedAt}\t${shard}:${seq}\t${JSON.stringify(data)}`);
  if (found.length === options.limit) console.log(`more: --from ${(found.at(-1)?.version ?? 0) + 1}`);
}

export function streamsCommand({ projectDir }: Surroundings): Command {
  return new Command('streams')
    .description('show event logs, the streams of an aggregate, or the events of a stream')
    .argument('[aggregate]', 'name of an aggregate')
    .argument('[id]', 'id of a stream')
    .option('--from <version>', 'first version to show', positive)
    .option('--after <id>', 'list streams after this one')
    .option('--limit <count>', 'how many to show', positive, 50)
    .option('--json', 'print JSON')
    .action(async (category: string | undefined, id: string | undefined, options: StreamsOptions) => {
      await withDatabase({ projectDir, create: false }, async ({ database }) => {
        if (category === undefined) return categories(database, options);
        if (id === undefined) return streams(database, category, options);
        return events(database, category, id, options);
      });
    });
}
