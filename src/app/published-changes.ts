/** The change log of one version of a projection, as Kafka knows it. */
import type { PublishedLog } from '../broker/ports.js';
import { changeLogOf, type Versioned } from '../projections/names.js';

type PublishedChanges = Extract<PublishedLog, { readonly kind: 'changes' }>;

export const publishedChanges = ({ name, version }: Versioned): PublishedChanges => ({
  kind: 'changes',
  log: changeLogOf({ name, version }),
  projection: name,
  version,
});
