/** Verifications that take too long for an answer: one at a time in a process, its result kept until the next of its projection. */
import { isTidemarkError, messageOf, TidemarkError } from '../../../platform/errors.js';
import type { Logger } from '../../../platform/logger.js';
import type { Verification, VerifyOptions } from '../../../projections/verify/verify.js';

/** What is known of the last one of a projection that was begun in this process. */
export type VerificationState =
  | { readonly state: 'none' }
  | {
      readonly state: 'running';
      readonly startedAt: string;
      readonly compared: number;
      readonly events: number;
    }
  | { readonly state: 'done'; readonly startedAt: string; readonly result: Verification }
  | { readonly state: 'failed'; readonly startedAt: string; readonly code: string; readonly detail: string };

export type Verify = (name: string, options: VerifyOptions) => Promise<Verification>;

export class Verifications {
  readonly #verify: Verify;
  readonly #logger: Logger;
  readonly #states = new Map<string, VerificationState>();
  readonly #abort = new AbortController();
  #running: { readonly name: string; readonly ended: Promise<void> } | undefined;

  constructor(verify: Verify, logger: Logger) {
    this.#verify = verify;
    this.#logger = logger;
  }

  state(name: string): VerificationState {
    return this.#states.get(name) ?? { state: 'none' };
  }

  /**
   * Begins one in the background.
   * @throws TidemarkError `too_many_requests` while another one runs
   */
  begin(name: string, options: Omit<VerifyOptions, 'signal' | 'progress'>): VerificationState {
    if (this.#running) {
      const message = `${this.#running.name} is being verified: one at a time in a process`;
      throw new TidemarkError('too_many_requests', message, { retryAfter: 5 });
    }
    const startedAt = new Date().toISOString();
    this.#states.set(name, { state: 'running', startedAt, compared: 0, events: 0 });
    this.#running = { name, ended: this.#run(name, startedAt, options) };
    return this.state(name);
  }

  /** Ends what runs. */
  async stop(): Promise<void> {
    this.#abort.abort(new TidemarkError('not_ready', 'the process stops'));
    await this.#running?.ended;
  }

  async #run(name: string, startedAt: string, options: VerifyOptions): Promise<void> {
    const progress: VerifyOptions['progress'] = (soFar) =>
      this.#states.set(name, { state: 'running', startedAt, ...soFar });
    try {
      const result = await this.#verify(name, { ...options, signal: this.#abort.signal, progress });
      this.#states.set(name, { state: 'done', startedAt, result });
      const { differences, compared, complete } = result;
      this.#logger.info({ projection: name, compared, differences, complete }, 'projection verified');
    } catch (err) {
      const told = isTidemarkError(err)
        ? { code: err.code, detail: messageOf(err) }
        : { code: 'internal_error', detail: 'it failed; the log has the cause' };
      this.#states.set(name, { state: 'failed', startedAt, ...told });
      this.#logger.warn({ err, projection: name }, 'projection could not be verified');
    } finally {
      this.#running = undefined;
    }
  }
}
