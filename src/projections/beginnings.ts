/** Where workers begin: checkpoints, read anew whenever a shard is opened; shards opened together share one query. */
import type { AnyProjection } from '../domain/projection.js';
import type { Database } from '../platform/postgres/database.js';
import { changeLogOf } from './names.js';
import { selectBeginnings } from './statements.js';

export interface Beginning {
  /** The checkpoint. */
  readonly seq: number;
  /** Epoch of the projection’s change log. */
  readonly epoch: string;
}

export class Beginnings {
  readonly #db: Database;
  readonly #projection: AnyProjection;
  #next: Promise<ReadonlyMap<string, Beginning>> | undefined;

  constructor(db: Database, projection: AnyProjection) {
    this.#db = db;
    this.#projection = projection;
  }

  /** Undefined when the read model was not made for this shard. @throws as `Database.query` */
  async read(source: string, shard: number): Promise<Beginning | undefined> {
    this.#next ??= this.#gather();
    return (await this.#next).get(`${source}/${shard}`);
  }

  async #gather(): Promise<ReadonlyMap<string, Beginning>> {
    // Who asks in this turn of the loop comes along; who asks later gets a query of its own, begun after they asked.
    await new Promise(setImmediate);
    this.#next = undefined;
    const { name, version } = this.#projection;
    const rows = await this.#db.query<[string, number, number, string]>(selectBeginnings(this.#db), [
      name,
      version,
      changeLogOf(this.#projection),
    ]);
    return new Map(rows.map(([source, shard, seq, epoch]) => [`${source}/${shard}`, { seq, epoch }]));
  }
}
