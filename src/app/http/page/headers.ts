/** What a browser may do with the page: load what is served here, call this server and its realtime socket, nothing else. */

export interface RealtimePlace {
  /** Of the socket on the host that the page was opened with. */
  readonly port: number;
  /** Where it is instead, as behind a proxy: `wss://shop.example/realtime`. */
  readonly url: string | undefined;
}

/** Host name of a `Host` header; undefined where it is not one that may stand in a header of ours. */
const hostName = (host: string): string | undefined =>
  /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::\d{1,5})?$/i.exec(host)?.[1]?.toLowerCase();

/** The realtime server as sources of the policy: the socket, and SSE on the same port. */
function realtimeSources({ port, url }: RealtimePlace, secure: boolean, host: string): readonly string[] {
  if (url !== undefined) {
    const { protocol, host: at } = new URL(url);
    const isSecure = protocol === 'wss:';
    return [`${protocol}//${at}`, `${isSecure ? 'https' : 'http'}://${at}`];
  }
  const name = hostName(host);
  if (name === undefined) return [];
  return secure
    ? [`wss://${name}:${port}`, `https://${name}:${port}`]
    : [`ws://${name}:${port}`, `http://${name}:${port}`];
}

/**
 * Headers of every file of the page.
 * @param asked how the page was asked for: its `Host`, and whether by https
 */
export function pageHeaders(
  realtime: RealtimePlace,
  asked: { readonly host: string; readonly secure: boolean },
): Readonly<Record<string, string>> {
  const connect = ["'self'", ...realtimeSources(realtime, asked.secure, asked.host)].join(' ');
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    "media-src 'self'",
    "worker-src 'self'",
    "manifest-src 'self'",
    `connect-src ${connect}`,
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ];
  return {
    'content-security-policy': policy.join('; '),
    'cross-origin-opener-policy': 'same-origin',
    'referrer-policy': 'same-origin',
  };
}
