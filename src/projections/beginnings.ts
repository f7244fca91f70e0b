/** Where workers begin: checkpoints, read anew whenever a shard is opened; shards opened together share one query. */
import type { AnyReadModel } from '../domain/tables.js';
import type { Database } from '../platform/postgres/database.js';
import { changeLogOf } from './names.js';
import { selectBeginnings } from './statements.js';
import { CLOSED, type ProjectionState } from './states.js';

export interface Beginning {
  /** The checkpoint. */
  readonly seq: number;
  /** Epoch of the projection’s change log, or of the version where it has none. */
  readonly epoch: string;
  /** The version is paused, retired, or its rows are not loaded. */
  readonly closed: boolean;
  /** The shard stands still before this seq, as somebody found. */
  readonly stoppedAt: number | undefined;
}

type Columns = [
  source: string,
  shard: number,
  seq: number,
  epoch: string,
  state: ProjectionState,
  loaded: boolean,
  stoppedAt: number | null,
];

export class Beginnings {
  readonly #db: Database;
  readonly #projection: AnyReadModel;
  #next: Promise<ReadonlyMap<string, Beginning>> | undefined;

  constructor(db: Database, projection: AnyReadModel) {
    this.#db = db;
    this.#projection = projection;
  }

  /** Undefined when the read model was not made for this shard, or is gone. @throws as `Database.query` */
  async read(source: string, shard: number): Promise<Beginning | undefined> {
    this.#next ??= this.#gather();
    return (await this.#next).get(`${source}/${shard}`);
  }

  async #gather(): Promise<ReadonlyMap<string, Beginning>> {
    // Who asks in this turn of the loop comes along; who asks later gets a query of its own, begun after they asked.
    await new Promise(setImmediate);
    this.#next = undefined;
    const { name, version } = this.#projection;
    const rows = await this.#db.query<Columns>(selectBeginnings(this.#db), [
      name,
      version,
      changeLogOf(this.#projection),
    ]);
    return new Map(
      rows.map(([source, shard, seq, epoch, state, loaded, stoppedAt]) => [
        `${source}/${shard}`,
        {
          seq,
          epoch,
          closed: !loaded || CLOSED.includes(state),
          stoppedAt: stoppedAt ?? undefined,
        },
      ]),
    );
  }
}
