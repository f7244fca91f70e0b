/** Who looks at the board: nobody in particular where rights are off, else the bearer of a token that the server takes. */
import { createClient, type Client } from 'tidemark/client';
import { webSocketOrSse } from 'tidemark/client/sse';
import type app from '../app.js';

export interface Session {
  readonly client: Client<typeof app>;
  /** Undefined where rights are off, and everybody may do everything. */
  readonly caller: { readonly id: string; readonly role: string } | undefined;
}

/** As long as this tab is there; another tab asks anew. */
const KEPT_AS = 'tidemark orders token';

/** Of a token that the server has taken: what it says of its bearer. */
function callerOf(token: string): Session['caller'] {
  const body = (token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/');
  const bytes = Uint8Array.from(atob(body), (char) => char.charCodeAt(0));
  const { sub, role = 'customer' }: { sub: string; role?: string } = JSON.parse(
    new TextDecoder().decode(bytes),
  );
  return { id: sub, role };
}

/** @returns the code of the refusal; undefined where the token is taken, or none is wanted. @throws Error with another status */
async function refusalOf(token: string | null): Promise<string | undefined> {
  const answer = await fetch('/views/order_summary?limit=1', {
    headers: token === null ? {} : { authorization: `Bearer ${token}` },
  });
  if (answer.ok) return undefined;
  const { code }: { code: string } = await answer.json();
  if (answer.status === 401) return code;
  throw new Error(`the server answered ${code}`);
}

/**
 * @param given a token, as somebody typed it; null: the one that is kept, or none
 * @returns the session, or the code of why there is none
 */
export async function begin(
  realtimeUrl: string,
  given: string | null,
): Promise<Session | { readonly refused: string }> {
  const token = given?.trim() ?? sessionStorage.getItem(KEPT_AS);
  const refused = await refusalOf(token);
  if (refused !== undefined) return { refused };
  if (token !== null) sessionStorage.setItem(KEPT_AS, token);
  const client = createClient<typeof app>({
    realtimeUrl,
    ...(token === null ? {} : { token: () => token }),
    // Some networks let no WebSocket through.
    WebSocket: webSocketOrSse(),
    // Each tab has a connection of its own here, so that one can be cut while another goes on.
    shareTabs: false,
    backoff: { minMs: 200, maxMs: 1_000 },
  });
  return { client, caller: token === null ? undefined : callerOf(token) };
}

export function forget({ client }: Session): void {
  sessionStorage.removeItem(KEPT_AS);
  client.close();
}
