/** Who may share a connection: tabs for which the server would see the same caller. */

/** Claims that say when a token was made and for how long, and not for whom. */
const OF_THE_TOKEN: ReadonlySet<string> = new Set(['exp', 'iat', 'nbf', 'jti']);

/** The claims of a JWT without those that differ from one token to the next; of any other token all of it. */
function callerOf(token: string): string {
  try {
    const body = (token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/');
    const bytes = Uint8Array.from(atob(body), (char) => char.charCodeAt(0));
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof claims !== 'object' || claims === null) return token;
    const lasting = Object.entries(claims).filter(([name]) => !OF_THE_TOKEN.has(name));
    // A token that says nothing of its bearer is nobody else’s.
    return lasting.length === 0 ? token : JSON.stringify(lasting.sort(([a], [b]) => (a < b ? -1 : 1)));
  } catch {
    return token;
  }
}

/** A name for those who may share; it tells nothing of the token, as every script of the origin can see names of locks. */
export async function groupName(url: string, token: string | null): Promise<string> {
  const text = JSON.stringify([url, token === null ? null : callerOf(token)]);
  const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  const hex = Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, '0')).join('');
  return `tidemark ${hex}`;
}
