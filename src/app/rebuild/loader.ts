/** The pool of a build: two connections read, one writes, one tells how far it is, and one is to spare. */
import type { Logger } from '../../platform/logger.js';
import { Database } from '../../platform/postgres/database.js';
import { LOADER_ROLE } from '../../projections/rebuild/statements.js';

const CONNECTIONS = 5;

export const openLoader = (place: {
  readonly url: string;
  readonly schema: string;
  readonly logger: Logger;
}): Database =>
  new Database({
    connectionString: place.url,
    schema: place.schema,
    logger: place.logger,
    role: LOADER_ROLE,
    max: CONNECTIONS,
    statementTimeoutMs: 0,
  });
