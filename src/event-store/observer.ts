/** What the event store tells whoever measures it. Called in the hot path: return at once, never throw. */
export interface EventStoreObserver {
  /**
   * A group commit is over, whatever became of its requests.
   * @param batch.requests appends in it
   * @param batch.milliseconds from the first call to the last answer
   */
  batch?(batch: { readonly requests: number; readonly milliseconds: number }): void;
}
