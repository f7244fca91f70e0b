/** As much of a browser as tabs need to share a connection: locks of the whole origin, and a channel between its tabs. */

interface LockOptions {
  readonly signal?: AbortSignal;
  /** Takes it from who holds it, whose request then fails. */
  readonly steal?: boolean;
}

/** https://w3c.github.io/web-locks/ */
export interface Locks {
  /** Holds the lock until the callback’s promise resolves. */
  request(name: string, options: LockOptions, callback: () => Promise<void>): Promise<unknown>;
}

/** https://html.spec.whatwg.org/multipage/web-messaging.html#broadcasting-to-other-browsing-contexts */
export interface TabChannel {
  postMessage(message: unknown): void;
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
  close(): void;
}

export interface TabPorts {
  readonly locks: Locks;
  readonly channel: (name: string) => TabChannel;
}

interface Page {
  readonly document?: unknown;
  readonly navigator?: { readonly locks?: Locks };
  readonly BroadcastChannel?: new (name: string) => TabChannel;
}

/** What the browser has of it; undefined where tabs cannot share: outside of a page, on plain HTTP, in an old browser. */
export function tabPorts(): TabPorts | undefined {
  // Of browsers, of which this package’s types know nothing; Node’s BroadcastChannel is another one.
  const { document, navigator, BroadcastChannel } = globalThis as unknown as Page;
  const locks = navigator?.locks;
  if (document === undefined || !locks || !BroadcastChannel) return undefined;
  return { locks, channel: (name) => new BroadcastChannel(name) };
}
