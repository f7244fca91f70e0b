/** The Postgres feed, over a change log. */
import { PostgresFeed } from '../../src/broker/postgres/feed.js';
import { silentLogger as logger } from '../../src/platform/logger.js';
import { readChanges } from '../../src/projections/change-log.js';
import type { ChangeEntry } from '../../src/projections/types.js';
import { LOG, things } from '../support/things.js';
import { feedContract, type FeedWorld } from './feed.js';

async function world(): Promise<FeedWorld<ChangeEntry>> {
  const made = await things();
  return {
    log: LOG,
    async append(shard, count, { hint = true } = {}) {
      const head = await made.append(shard, count);
      if (hint) for (const wakeups of made.everyone) wakeups.announce(LOG, shard, head + count);
    },
    trim: (shard, low) => made.trim(shard, low),
    process: () =>
      made.process(
        ({ db, wakeups, leases }) =>
          new PostgresFeed<ChangeEntry>({
            read: readChanges.bind(undefined, db),
            wakeups,
            leases,
            logger,
            notNowMs: 20,
          }),
      ),
    end: () => made.end(),
  };
}

feedContract('Postgres feed', world);
