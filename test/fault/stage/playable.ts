/** What `npm run fault` runs: a scenario of any stage, which leaves a line. */

export interface PlayOptions {
  /** Of the schedule. */
  readonly seed: number;
  /** How much of everything; 1 is the usual. */
  readonly scale: number;
  /** A Postgres of whom may create databases. */
  readonly postgresUrl: string;
}

export interface Played {
  /** The one line that it leaves. */
  readonly line: string;
  readonly faults: readonly string[];
  /** Logs of the processes; gone when all is well. */
  readonly folder: string;
}

export interface Playable {
  readonly name: string;
  readonly title: string;
  play(options: PlayOptions): Promise<Played>;
}
