/** The database of one run, copies of it, and going back to one: a restored database. */
import { randomBytes } from 'node:crypto';
import pg from 'pg';

async function asAdmin(url: string, statements: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

export class Databases {
  readonly #admin: string;
  readonly #name: string;
  readonly #others: string[] = [];

  private constructor(admin: string, name: string) {
    this.#admin = admin;
    this.#name = name;
  }

  static async create(admin: string): Promise<Databases> {
    const name = `fault_${randomBytes(6).toString('hex')}`;
    await asAdmin(admin, [`CREATE DATABASE ${name}`]);
    return new Databases(admin, name);
  }

  get url(): string {
    const url = new URL(this.#admin);
    url.pathname = `/${this.#name}`;
    return url.href;
  }

  /** Nobody is in it and nobody comes in, until `#open`. */
  #close(): readonly string[] {
    return [
      `ALTER DATABASE ${this.#name} ALLOW_CONNECTIONS false`,
      `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '${this.#name}'`,
    ];
  }

  #other(what: string): string {
    const name = `${this.#name}_${what}_${this.#others.length}`;
    this.#others.push(name);
    return name;
  }

  /** A copy of the database as it is now; who is connected is cut off, and may come back at once. */
  async copy(): Promise<string> {
    const copy = this.#other('copy');
    await asAdmin(this.#admin, [
      ...this.#close(),
      `CREATE DATABASE ${copy} TEMPLATE ${this.#name}`,
      `ALTER DATABASE ${this.#name} ALLOW_CONNECTIONS true`,
    ]);
    return copy;
  }

  /** Puts a copy in the place of the database; who is connected is cut off. */
  async restore(copy: string): Promise<void> {
    await asAdmin(this.#admin, [
      ...this.#close(),
      `ALTER DATABASE ${this.#name} RENAME TO ${this.#other('lost')}`,
      `CREATE DATABASE ${this.#name} TEMPLATE ${copy}`,
    ]);
  }

  async drop(): Promise<void> {
    const all = [this.#name, ...this.#others];
    await asAdmin(
      this.#admin,
      all.map((name) => `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
    );
  }
}
