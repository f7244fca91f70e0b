/** Tokens for tests, signed by jose, and by hand where no library would make them; and a server that has a set of keys. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type JWTPayload } from 'jose';

export const SECRET = 'a secret of the tests, of 32 bytes or more';

export const soon = (seconds = 60): number => Math.floor(Date.now() / 1_000) + seconds;

/** @param claims beside `exp` in a minute and `sub` ann */
export const signed = (
  claims: Readonly<Record<string, unknown>> = {},
  by: { readonly key?: Parameters<SignJWT['sign']>[0]; readonly alg?: string; readonly kid?: string } = {},
): Promise<string> =>
  new SignJWT({ sub: 'ann', exp: soon(), ...claims })
    .setProtectedHeader({ alg: by.alg ?? 'HS256', ...(by.kid === undefined ? {} : { kid: by.kid }) })
    .sign(by.key ?? new TextEncoder().encode(SECRET));

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token with any header and any signature. */
export const forged = (header: object, claims: object, signature = ''): string =>
  `${part(header)}.${part({ sub: 'ann', exp: soon(), ...claims })}.${signature}`;

export interface KeyServer {
  readonly url: string;
  /** Times that the set was fetched. */
  readonly fetched: number;
  /** Makes a pair and puts its public half into the set, in the place of those before it. */
  rotate(
    kid: string | undefined,
    options?: { readonly keep?: boolean },
  ): Promise<{
    readonly kid: string | undefined;
    readonly sign: (claims?: JWTPayload) => Promise<string>;
  }>;
  /** What it answers with until told otherwise; `hang`: nothing. */
  mode: 'keys' | 'broken' | 'not found' | 'moved' | 'hang';
  stop(): Promise<void>;
}

export async function startKeyServer(): Promise<KeyServer> {
  let keys: object[] = [];
  let fetched = 0;
  const server = createServer((_request, response) => {
    fetched++;
    if (self.mode === 'hang') return;
    if (self.mode === 'moved') response.writeHead(302, { location: `${self.url}/elsewhere` });
    else response.writeHead(self.mode === 'not found' ? 404 : 200, { 'content-type': 'application/json' });
    response.end(self.mode === 'broken' ? '<html>' : JSON.stringify({ keys }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const self: KeyServer = {
    // A bound server on TCP has an address of this shape.
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`,
    mode: 'keys',
    get fetched() {
      return fetched;
    },
    async rotate(kid, { keep = false } = {}) {
      const pair = await generateKeyPair('ES256');
      const jwk = {
        ...(await exportJWK(pair.publicKey)),
        alg: 'ES256',
        ...(kid === undefined ? {} : { kid }),
      };
      keys = keep ? [...keys, jwk] : [jwk];
      const sign = (claims: JWTPayload = {}): Promise<string> =>
        signed(claims, { key: pair.privateKey, alg: 'ES256', ...(kid === undefined ? {} : { kid }) });
      return { kid, sign };
    },
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return self;
}
