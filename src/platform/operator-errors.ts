/**
 * The catalogue of errors that only an operator sees: when a process starts, in its log, from the command line. Those
 * that a client sees are in protocol/problems.ts. A test finds codes that are thrown and stand in neither.
 */

export interface OperatorError {
  /** What it means. */
  readonly title: string;
  /** What to do about it; the message of the error itself has the names and numbers. */
  readonly advice: string;
}

const entry = (title: string, advice: string): OperatorError => ({ title, advice });

export const OPERATOR_ERRORS: Readonly<Record<string, OperatorError>> = {
  address_in_use: entry(
    'The port is taken',
    'Stop the process that has it, or set another port (0 takes a free one).',
  ),
  address_refused: entry(
    'The address cannot be listened on',
    'Set HOST to an address of this machine, or the port to one that this user may use.',
  ),
  already_running: entry(
    'Another Tidemark runs on this data folder',
    'Stop it, or set TIDEMARK_DATA_DIR to another folder.',
  ),
  data_dir: entry('The data folder cannot be used', 'Set TIDEMARK_DATA_DIR to a folder that can be written.'),
  embedded_postgres: entry(
    'The embedded Postgres does not start',
    'Mend what the message names, or set DATABASE_URL to another Postgres.',
  ),
  engine_unavailable: entry(
    'The chosen socket engine does not load here',
    'Leave the choice open, so that `ws` is used, or run the Node version that the message names.',
  ),
  invalid_app: entry('The module is no application', 'Export what defineApp returns as default.'),
  invalid_config: entry('The environment is wrong', 'Mend the variables that the message names.'),
  listen_failed: entry('The realtime socket cannot listen', 'See address_in_use and address_refused.'),
  log_hole: entry(
    'A log has a hole, which cannot be',
    'Report it with the message; the reader stops rather than step over it.',
  ),
  log_unreadable: entry('A log’s shards do not fit together', 'See whether the schema was restored in part.'),
  no_database: entry('There is no data yet', 'Start the application once, or set DATABASE_URL.'),
  projection_changed: entry(
    'A projection is not what its table was made for',
    'Raise its version: a new table is built beside the old one.',
  ),
  projection_name_taken: entry(
    'The schema has something of the projection’s name',
    'Rename the projection, or what stands in its place.',
  ),
  schema_too_new: entry('The schema was migrated by newer code', 'Run a version at least as new.'),
  shard_count_changed: entry(
    'The number of shards is fixed when a log is created',
    'Set `shards` back to what the message names.',
  ),
  unknown_log: entry(
    'There is no such log',
    'Report it with the message: a room asked for a log that nobody made.',
  ),
  unsupported_postgres: entry('Postgres is too old', 'Use Postgres 15 or newer.'),
};
