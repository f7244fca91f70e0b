/** Where the server is: it says so in `/tidemark.json`, as the page cannot know the port of the realtime socket. */

interface Told {
  readonly realtime: { readonly port: number; readonly path: string } | { readonly url: string };
}

/** @throws Error where no Tidemark answers */
export async function findServer(): Promise<{ readonly realtimeUrl: string }> {
  const answer = await fetch('/tidemark.json');
  if (!answer.ok) throw new Error(`/tidemark.json was answered with ${answer.status}`);
  const { realtime }: Told = await answer.json();
  if ('url' in realtime) return { realtimeUrl: realtime.url };
  const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
  return { realtimeUrl: `${scheme}//${location.hostname}:${realtime.port}${realtime.path}` };
}
