/** The server’s end of the client’s HTTP calls, in a test’s hands: each waits until it is answered. */

export interface ScriptedCall {
  /** Path and query. */
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  readonly body: unknown;
  readonly signal: AbortSignal | null | undefined;
  /** @param body JSON, or a text as it stands */
  answer(status: number, body: unknown, headers?: Readonly<Record<string, string>>): void;
  /** As when there is no network. */
  fail(): void;
}

export interface ScriptedHttp {
  readonly fetch: typeof fetch;
  /** Every call, in the order in which they came. */
  readonly calls: readonly ScriptedCall[];
  /** The next call that nobody took yet and whose URL begins so. */
  next(prefix?: string): Promise<ScriptedCall>;
}

export function scriptedHttp(): ScriptedHttp {
  const calls: ScriptedCall[] = [];
  const taken = new Set<ScriptedCall>();
  const waiting = new Set<() => void>();
  return {
    calls,
    fetch: (input, init) =>
      new Promise((resolve, reject) => {
        // The client calls it with nothing else.
        const { pathname, search } = new URL(String(input));
        const { signal } = init ?? {};
        signal?.addEventListener('abort', () => reject(signal.reason as Error));
        calls.push({
          url: pathname + search,
          method: init?.method ?? 'GET',
          headers: new Headers(init?.headers),
          body: typeof init?.body === 'string' ? JSON.parse(init.body) : undefined,
          signal,
          answer: (status, body, headers = {}) =>
            resolve(
              new Response(typeof body === 'string' ? body : JSON.stringify(body), { status, headers }),
            ),
          fail: () => reject(new TypeError('fetch failed')),
        });
        for (const look of [...waiting]) look();
      }),
    next: (prefix = '') =>
      new Promise((resolve) => {
        const look = (): void => {
          const call = calls.find((one) => !taken.has(one) && one.url.startsWith(prefix));
          if (!call) return;
          taken.add(call);
          waiting.delete(look);
          resolve(call);
        };
        waiting.add(look);
        look();
      }),
  };
}
