/**
 * The catalogue of errors that only an operator sees: when a process starts, in its log, from the command line. Those
 * that a client sees are in protocol/problems.ts. A test finds codes that are thrown and stand in neither, or listed and
 * not given out.
 */

export interface OperatorError {
  /** `start`: ends a start or a command, with its message as the one line on standard error. `log`: stands in the log. */
  readonly seen: 'start' | 'log';
  /** What it means. */
  readonly title: string;
  /** What to do about it; the message of the error itself has the names and numbers. */
  readonly advice: string;
}

const atStart = (title: string, advice: string): OperatorError => ({ seen: 'start', title, advice });
const inLog = (title: string, advice: string): OperatorError => ({ seen: 'log', title, advice });

export const OPERATOR_ERRORS: Readonly<Record<string, OperatorError>> = {
  address_in_use: atStart(
    'The port is taken',
    'Stop the process that has it, or set another port (0 takes a free one).',
  ),
  address_refused: atStart(
    'The address cannot be listened on',
    'Set HOST to an address of this machine, or the port to one that this user may use.',
  ),
  already_running: atStart(
    'Another Tidemark runs on this data folder',
    'Stop it, or set TIDEMARK_DATA_DIR to another folder.',
  ),
  append_refused: inLog(
    'Postgres refused what an append would store',
    'Nothing to do where a client sent it: it is answered `invalid_payload`. Else mend what emitted the event.',
  ),
  broker_refused: inLog(
    'Kafka refused what was asked of it',
    'Mend what the message names: rights, a limit of the brokers, or what the cluster allows for topics.',
  ),
  broker_unavailable: inLog(
    'Kafka cannot be reached, or a partition takes no records now',
    'Nothing to do where it is short: it is tried again and nothing is lost. Else see to what the message names.',
  ),
  data_dir: atStart(
    'The data folder cannot be used',
    'Set TIDEMARK_DATA_DIR to a folder that can be written.',
  ),
  embedded_postgres: atStart(
    'The embedded Postgres does not start',
    'Mend what the message names, or set DATABASE_URL to another Postgres.',
  ),
  engine_unavailable: atStart(
    'The chosen socket engine does not load here',
    'Leave the choice open, so that `ws` is used, or run the Node version that the message names.',
  ),
  invalid_app: atStart('The module is no application', 'Export what defineApp returns as default.'),
  invalid_arguments: atStart('The command line is wrong', 'See `tidemark <command> --help`.'),
  invalid_definition: atStart(
    'A definition cannot work',
    'Mend what the message names; it is thrown where the definition stands.',
  ),
  invalid_config: atStart('The environment is wrong', 'Mend the variables that the message names.'),
  invalid_emit: inLog(
    'What `decide` or `tags` gave breaks its own definition',
    'Mend the handler that the message names. The command was answered `internal_error` and nothing was written.',
  ),
  invalid_command: inLog(
    'What a consumer’s handler gave are no commands of its aggregates',
    'Mend the handler that the message names. The record stands in the dead letters of its topic.',
  ),
  invalid_row: inLog(
    'What `keys` or a fold gave cannot be a row',
    'Mend the fold that the message names and start again: the projection has halted at that event.',
  ),
  listen_failed: atStart('The realtime socket cannot listen', 'See address_in_use and address_refused.'),
  log_diverged: inLog(
    'Kafka has records of a log that this database does not have',
    'Make sure that this is the database you want (it was restored, or failed over and lost its end), then run `tidemark doctor --new-epoch`. Until then nothing of the log is sent.',
  ),
  log_hole: inLog(
    'A log has a hole, which cannot be',
    'Report it with the message; the reader stops rather than step over it.',
  ),
  log_unreadable: atStart(
    'A log’s shards do not fit together',
    'See whether the schema was restored in part.',
  ),
  migration_changed: atStart(
    'A migration is not what the schema was made with',
    'Run the version of Tidemark that made the schema, or restore the file: an applied migration never changes.',
  ),
  no_database: atStart('There is no data yet', 'Start the application once, or set DATABASE_URL.'),
  not_confirmed: atStart('Nothing was done', 'Answer with yes, or add `--yes` where nobody can be asked.'),
  projection_changed: atStart(
    'A projection is not what its table was made for',
    'Raise its version: a new table is built beside the old one.',
  ),
  projection_name_taken: atStart(
    'The schema has something of the projection’s name',
    'Rename the projection, or what stands in its place.',
  ),
  record_too_large: inLog(
    'A record is larger than its topic takes',
    'Raise `max.message.bytes` of the topic that the message names; the shard waits for it.',
  ),
  invalid_page: atStart(
    'The folder of the page cannot be served',
    'Build the page, and name the folder that the build wrote; it has an index.html.',
  ),
  invalid_record: inLog(
    'A record of another system does not fit the consumer’s schema',
    'It stands in the dead letters of its topic. Mend the schema, or have the other system mend what it sends.',
  ),
  rights_off: atStart(
    'Others can reach the process, and everyone may do everything',
    'Say in `defineApp` who may do what (`auth`), or set HOST to a loopback address.',
  ),
  schema_taken: atStart(
    'The logs of this schema go to Kafka as those of another application',
    'Give this application a schema of its own (`TIDEMARK_SCHEMA`). After renaming an application: stop all of its relays, delete the row `relayed_for` of the table `settings`, and start it; its logs then fill topics of the new name.',
  ),
  schema_too_old: atStart(
    'The schema was not brought up to date yet',
    'Run `tidemark migrate`, or start the application once with this version.',
  ),
  schema_too_new: atStart('The schema was migrated by newer code', 'Run a version at least as new.'),
  shard_count_changed: atStart(
    'The number of shards is fixed when a log is created',
    'Set `shards` back to what the message names.',
  ),
  topic_mismatch: atStart(
    'A topic has another number of partitions than its log has shards',
    'Delete the topic (it is made again and filled from Postgres).',
  ),
  topic_remade: inLog(
    'A topic was deleted and made again, or a partition lost its end',
    'Nothing to do: what is missing is sent again from Postgres.',
  ),
  unknown_log: inLog(
    'There is no such log',
    'Report it with the message: a room asked for a log that nobody made.',
  ),
  unreadable_record: inLog(
    'A record of another system is neither a CloudEvent nor JSON',
    'It stands in the dead letters of its topic; the message says what was expected.',
  ),
  unsupported_postgres: atStart('Postgres is too old', 'Use Postgres 15 or newer.'),
};
