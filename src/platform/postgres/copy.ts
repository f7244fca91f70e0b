/**
 * COPY, both ways, in its text form: the fastest way for many rows to come and go. One connection, as what is loaded and
 * what is said of it belong into one transaction. COPY takes no parameters: what stands in its text comes from definitions, or is a
 * number, or has gone through `quoteLiteral`.
 * Form: https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
 */
import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import type pg from 'pg';
import { from as copyFrom, to as copyTo, type CopyStreamQuery } from 'pg-copy-streams';
import type { Database, Queryable } from './database.js';

/** Writes rows as they come; bounded by what the server takes. */
export interface CopyIn {
  /** @param text whole lines. Resolves when there is room for more. @throws what the server says of the lines so far */
  write(text: string): Promise<void>;
  /** All lines were written. @throws what the server says of them */
  end(): Promise<void>;
}

/**
 * Ends the time limit that pg has put on it: COPY lasts as long as both sides do. It would also outlive the COPY, as pg-copy-streams
 * does not tell pg that a COPY out is done, and hold the process for its minutes.
 */
function forget(stream: object): void {
  if ('callback' in stream && typeof stream.callback === 'function') stream.callback();
}

export class CopySession implements Queryable {
  readonly #client: pg.PoolClient;
  readonly #ignore = (): void => undefined;
  #copying = false;
  #closed = false;

  readonly #signal: AbortSignal | undefined;
  readonly #cut = (): void => this.close(true);

  private constructor(client: pg.PoolClient, signal: AbortSignal | undefined) {
    this.#client = client;
    this.#signal = signal;
    signal?.addEventListener('abort', this.#cut);
    // Without a listener, a connection that breaks between two statements would end the process.
    client.on('error', this.#ignore);
  }

  /**
   * @param db a database without a time limit on statements: COPY lasts as long as both sides do
   * @param signal ends the connection, and what waits for it rejects
   */
  static async open(db: Database, signal?: AbortSignal): Promise<CopySession> {
    const client = await db.pool.connect();
    const session = new CopySession(client, signal);
    if (signal?.aborted) session.close(true);
    return session;
  }

  async query<R extends readonly unknown[]>(text: string, values: readonly unknown[] = []): Promise<R[]> {
    const statement: pg.QueryArrayConfig = { text, values: [...values], rowMode: 'array' };
    return (await this.#client.query<R>(statement)).rows;
  }

  /** What `COPY … TO STDOUT` gives, piece by piece; the server waits while nobody takes the next. */
  async *copyOut(text: string): AsyncGenerator<Buffer, void, undefined> {
    this.#copying = true;
    const stream = this.#client.query(copyTo(text));
    forget(stream);
    for await (const chunk of stream) yield chunk as Buffer; // a stream of bytes, which its types do not tell
    this.#copying = false;
  }

  /** @param text `COPY … FROM STDIN` */
  copyIn(text: string): CopyIn {
    this.#copying = true;
    const stream: CopyStreamQuery = this.#client.query(copyFrom(text));
    forget(stream);
    let failure: unknown;
    stream.on('error', (error) => (failure = error));
    return {
      async write(lines) {
        if (failure !== undefined) throw failure;
        if (!stream.write(lines)) await once(stream, 'drain');
      },
      end: async () => {
        stream.end();
        if (failure !== undefined) throw failure;
        await finished(stream);
        this.#copying = false;
      },
    };
  }

  /** Ends the connection where a COPY or a transaction did not come to its end, which rolls back. May be called twice. */
  close(broken = false): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#signal?.removeEventListener('abort', this.#cut);
    const ends = broken || this.#copying;
    // One that is ended still gets what its end brings.
    if (!ends) this.#client.off('error', this.#ignore);
    this.#client.release(ends);
  }
}

/** A text as it stands in a statement. */
export const quoteLiteral = (text: string): string =>
  `${text.includes('\\') ? ' E' : ''}'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;

const ESCAPES: Readonly<Record<string, string>> = {
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** A field of a line as it was before COPY wrote it; not for fields that are NULL. */
export const copyText = (field: string): string =>
  field.includes('\\') ? field.replaceAll(/\\(.)/gs, (_all, sign: string) => ESCAPES[sign] ?? sign) : field;

const SPECIAL = /[\\\n\r\t]/;
const WRITTEN: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** A value as a field of a line for COPY. */
export const copyField = (value: string): string =>
  SPECIAL.test(value) ? value.replaceAll(/[\\\n\r\t]/g, (sign) => WRITTEN[sign] ?? sign) : value;

/** NULL as a field of a line for COPY. */
export const COPY_NULL = '\\N';

const NEWLINE = 10;

/** Lines from pieces. Each line is a text of its own: what is kept of it does not keep its whole piece in memory. */
export class CopyLines {
  #rest: Buffer | undefined;

  /** The lines that end in this piece, in order. */
  push(chunk: Buffer): string[] {
    const bytes = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk;
    const lines: string[] = [];
    let from = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, from)) {
      lines.push(bytes.toString('utf8', from, end));
      from = end + 1;
    }
    this.#rest = from < bytes.length ? bytes.subarray(from) : undefined;
    return lines;
  }
}
