/** What a process and its building thread say to each other. */
import type { LogLevel } from '../../platform/logger.js';
import type { Lease } from '../../platform/postgres/leases.js';
import type { BuildOutcome } from '../../projections/rebuild/types.js';

/** What the thread starts with. */
export interface BuildOrder {
  /** Absolute path of the module whose default export is the application. */
  readonly appModule: string;
  readonly projection: string;
  readonly version: number;
  /** Of the definition that this process has: a module that was changed since is another’s. */
  readonly fingerprint: string;
  readonly databaseUrl: string;
  readonly schema: string;
  readonly logLevel: LogLevel;
  readonly lease: Lease;
  readonly again: boolean;
}

/** From the thread. */
export type BuildNews =
  | { readonly kind: 'log'; readonly line: string }
  | { readonly kind: 'outcome'; readonly outcome: BuildOutcome }
  /** The module does not have what is to be built. */
  | { readonly kind: 'unfit'; readonly why: string };

/** To the thread. */
export type BuildWord = 'stop';
