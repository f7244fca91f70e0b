/** What happens to the page that the client is on. Node has none, and hears nothing. */

interface Target {
  readonly addEventListener?: (type: string, listener: () => void) => void;
  readonly removeEventListener?: (type: string, listener: () => void) => void;
}
interface Document extends Target {
  readonly visibilityState: string;
}

interface PageEvents {
  /** The network is back, or the page is looked at again, maybe after hours of sleep. */
  woke(): void;
  /** The page is left; it may be kept, standing still, in case somebody comes back. */
  hidden(): void;
  /** Somebody came back. */
  shown(): void;
}

/** Returns what ends it. */
export function watchPage(events: PageEvents): () => void {
  const scope = globalThis as Target & { readonly document?: Document };
  const { document } = scope;
  const seen = (): void => {
    if (document?.visibilityState === 'visible') events.woke();
  };
  const watched: readonly (readonly [Target | undefined, string, () => void])[] = [
    [scope, 'online', events.woke],
    [document, 'visibilitychange', seen],
    [scope, 'pagehide', events.hidden],
    [scope, 'pageshow', events.shown],
  ];
  for (const [target, type, listener] of watched) target?.addEventListener?.(type, listener);
  return () => {
    for (const [target, type, listener] of watched) target?.removeEventListener?.(type, listener);
  };
}
