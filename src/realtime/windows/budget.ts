/** How much all windows of a gateway may take: how many there are, and the bytes of their rows. */
export class WindowBudget {
  readonly #maxWindows: number;
  readonly #maxBytes: number;
  #windows = 0;
  #bytes = 0;

  constructor(settings: { readonly maxWindows: number; readonly windowBytes: number }) {
    this.#maxWindows = settings.maxWindows;
    this.#maxBytes = settings.windowBytes;
  }

  /** There is room for one more. */
  get room(): boolean {
    return this.#windows < this.#maxWindows && this.#bytes < this.#maxBytes;
  }

  /** All of them together are within their bytes. */
  get within(): boolean {
    return this.#bytes <= this.#maxBytes;
  }

  opened(): void {
    this.#windows++;
  }

  closed(): void {
    this.#windows--;
  }

  /** The rows of a window have become so many bytes more (or less). */
  weighed(bytes: number): void {
    this.#bytes += bytes;
  }
}
