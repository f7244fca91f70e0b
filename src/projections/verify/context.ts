/** What every way of verifying works with. */
import type { AnyProjection } from '../../domain/projection.js';
import type { Database } from '../../platform/postgres/database.js';
import type { Bounds } from './bounds.js';
import type { Findings } from './report.js';

/** Events folded before others get a turn of the event loop. */
export const EVENTS_A_TURN = 250;

export interface VerifyContext {
  readonly db: Database;
  readonly projection: AnyProjection;
  /** Of every log. */
  readonly shards: number;
  readonly bounds: Bounds;
  readonly findings: Findings;
  /** Differences that are listed at the most. */
  readonly limit: number;
  readonly seed: number;
  /** Rows of many streams that are held in memory at once. */
  readonly rowsAtOnce: number;
  /** Called now and then. */
  readonly progress: () => void;
}
