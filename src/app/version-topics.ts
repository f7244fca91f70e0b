/** The topics of versions that were pruned: nobody writes or reads them any more. */
import type { KafkaPublisher } from '../broker/kafka/publisher.js';
import { changesTopic } from '../broker/kafka/records.js';
import { messageOf } from '../platform/errors.js';
import type { VersionName } from '../projections/operations/types.js';
import { publishedChanges } from './published-changes.js';

export interface DroppedTopics {
  /** Gone now, or never there. */
  readonly dropped: readonly string[];
  readonly kept: readonly { readonly topic: string; readonly why: string }[];
}

/** Never rejects: the tables are gone, so that whoever asked is told what he has to delete himself. */
export async function dropTopicsOf(
  versions: readonly VersionName[],
  app: string,
  publisher: Pick<KafkaPublisher, 'remove'>,
): Promise<DroppedTopics> {
  const topics = versions.map(({ name, version }) => changesTopic(app, name, version));
  const logs = versions.map(publishedChanges);
  try {
    if (logs.length > 0) await publisher.remove(logs);
    return { dropped: topics, kept: [] };
  } catch (error) {
    const why = messageOf(error);
    return { dropped: [], kept: topics.map((topic) => ({ topic, why })) };
  }
}
