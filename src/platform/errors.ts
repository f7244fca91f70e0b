/** The one error class that crosses rooms. It carries a stable code; what status a code has is the edge's business. */

/** One fault of some input; `path` is a JSON Pointer into it. */
export interface Fault {
  readonly path: string;
  readonly message: string;
}

/** How a domain rejection is to be understood. */
export type RejectionKind = 'conflict' | 'not_found' | 'invalid';

export interface TidemarkErrorOptions {
  /** Set on domain rejections only: their codes stand in no catalogue. */
  readonly rejection?: RejectionKind;
  readonly cause?: unknown;
  readonly faults?: readonly Fault[];
  /** Seconds after which a repeat makes sense. */
  readonly retryAfter?: number;
  /** Facts for the reader of the answer; never secrets. */
  readonly extra?: Readonly<Record<string, unknown>>;
}

export class TidemarkError extends Error {
  override readonly name = 'TidemarkError';
  readonly code: string;
  readonly rejection: RejectionKind | undefined;
  readonly faults: readonly Fault[] | undefined;
  readonly retryAfter: number | undefined;
  readonly extra: Readonly<Record<string, unknown>> | undefined;

  constructor(code: string, message: string, options: TidemarkErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.rejection = options.rejection;
    this.faults = options.faults;
    this.retryAfter = options.retryAfter;
    this.extra = options.extra;
  }
}

export const isTidemarkError = (error: unknown, code?: string): error is TidemarkError =>
  error instanceof TidemarkError && (code === undefined || error.code === code);

/** The text of anything that was thrown. */
export const messageOf = (thrown: unknown): string =>
  thrown instanceof Error ? thrown.message : String(thrown);
