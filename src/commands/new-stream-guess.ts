/**
 * Guesses whether a command on a stream that is not cached begins that stream, so that it need not be read: the append
 * tells whether the guess was right. Learnt per command from how it went before, so that a command of long streams
 * is not decided in vain.
 */
import type { AnyAggregate } from '../domain/aggregate.js';

/** So many wrong guesses (or streams found to be there) undo any number of right ones. */
const MEMORY = 4;

export class NewStreamGuess {
  /** Aggregate and command → score; as many as the definitions have. */
  readonly #scores = new Map<string, number>();

  /** True when the streams of this command were not there lately. */
  isNew(aggregate: AnyAggregate, command: string): boolean {
    return (this.#scores.get(`${aggregate.name}/${command}`) ?? 0) > 0;
  }

  learn(aggregate: AnyAggregate, command: string, wasNew: boolean): void {
    const key = `${aggregate.name}/${command}`;
    const score = (this.#scores.get(key) ?? 0) + (wasNew ? 1 : -1);
    this.#scores.set(key, Math.max(-MEMORY, Math.min(MEMORY, score)));
  }
}
