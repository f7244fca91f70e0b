/** What a process knows of a version, for tests: that all is well, unless told otherwise. */
import type { AnyReadModel } from '../../src/domain/tables.js';
import type { VersionFacts } from '../../src/projections/types.js';

export const factsOf = (
  { name, version }: Pick<AnyReadModel, 'name' | 'version'>,
  facts: Partial<VersionFacts> = {},
): VersionFacts => ({
  name,
  version,
  state: 'live',
  loaded: true,
  ready: true,
  acceptParked: false,
  parkedKeys: 0,
  stops: [],
  ...facts,
});
