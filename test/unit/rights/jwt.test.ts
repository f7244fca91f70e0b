/** JSON Web Tokens: which are taken and whose they are, and everything that is known to be tried with them. */
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { jwt } from 'tidemark';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Authenticate } from '../../../src/domain/rights.js';
import { forged, SECRET, signed, soon, startKeyServer, type KeyServer } from '../../support/jwt.js';

/** JSON leaves it out; the types of jose would have it left out before. */
const NO_SUB: object = { sub: undefined };

/** The principal, or the code and text of the refusal. */
async function look(authenticate: Authenticate<unknown>, token: string): Promise<unknown> {
  try {
    return await authenticate({ token, via: 'bearer' });
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    const body = token.split('.')[1] ?? '';
    if (body !== '') expect(message).not.toContain(body);
    return code === 'unauthenticated' ? message : code;
  }
}

describe('a secret', () => {
  const verify = jwt({ secret: SECRET });

  it('takes what was signed with it: sub is the id', async () => {
    const exp = soon(100);
    expect(await look(verify, await signed({ sub: 'bob', exp, role: 'x' }))).toEqual({
      id: 'bob',
      claims: { sub: 'bob', exp, role: 'x' },
      expiresAt: (exp + 5) * 1_000,
    });
  });

  it.each([
    ['expired', { exp: soon(-60) }, 'token_expired'],
    ['not valid yet', { nbf: soon(60) }, 'the token is not valid: its claim nbf'],
    ['endless', { exp: undefined }, 'the token is not valid: its claim exp'],
    ['nobody’s', { sub: undefined }, 'the token is not valid: its claim sub'],
    ['of a blank id', { sub: ' ' }, 'the token is not valid: its id'],
    ['of a long id', { sub: 'x'.repeat(201) }, 'the token is not valid: its id'],
    ['of a reserved id', { sub: 'inbound:shop' }, 'the token is not valid: its id'],
  ])('not what is %s', async (_what, claims, why) => {
    expect(await look(verify, await signed(claims))).toBe(why);
  });

  it.each([
    ['exp', { exp: 'tomorrow' }],
    ['nbf', { nbf: '0' }],
  ] as const)('not what has no number as %s', async (claim, claims) => {
    const token = await signed({}).then((good) => good.split('.')[0] ?? '');
    const body = Buffer.from(JSON.stringify({ sub: 'ann', exp: soon(), ...claims })).toString('base64url');
    const { createHmac } = await import('node:crypto');
    const mac = createHmac('sha256', SECRET).update(`${token}.${body}`).digest('base64url');
    expect(await look(verify, `${token}.${body}.${mac}`)).toBe(`the token is not valid: its claim ${claim}`);
  });

  it('clocks may differ by a few seconds, or by as many as was said', async () => {
    expect(await look(verify, await signed({ exp: soon(-2) }))).toMatchObject({ id: 'ann' });
    expect(await look(verify, await signed({ nbf: soon(2) }))).toMatchObject({ id: 'ann' });
    const strict = jwt({ secret: SECRET, clockToleranceSec: 0 });
    expect(await look(strict, await signed({ exp: soon(-2) }))).toBe('token_expired');
  });

  it.each(['none', 'None', 'NONE', 'nOnE', '', 'HS1', 'HS512', 'RS256', 'ES256', 'dir'])(
    'not what says that its algorithm is %j',
    async (alg) => {
      for (const signature of ['', 'AAAA', (await signed()).split('.')[2]])
        expect(await look(verify, forged({ alg, typ: 'JWT' }, {}, signature))).toMatch(
          /^the token is not valid/,
        );
    },
  );

  it('not what was signed with another, cut, changed, or is no token at all', async () => {
    const good = await signed();
    const [head = '', body = '', tag = ''] = good.split('.');
    const other = await signed({ sub: 'root' });
    const bad = [
      await signed({}, { key: new TextEncoder().encode(`${SECRET}.`) }),
      `${head}.${other.split('.')[1]}.${tag}`,
      `${head}.${body}.`,
      `${head}.${body}`,
      `${head}..${tag}`,
      `${good}.${tag}`,
      `${good}x`,
      'x',
      '..',
      'null.null.null',
      forged({ alg: 'HS256', crit: ['b64'], b64: false }, {}, tag),
      forged({ alg: 'HS256', jwk: { kty: 'oct', k: 'AAAA' } }, {}, 'AAAA'),
      forged({ alg: 'HS256', jku: 'http://127.0.0.1:1/keys', kid: '../../dev/null' }, {}, 'AAAA'),
    ];
    for (const token of bad) expect(await look(verify, token)).toMatch(/^the token is not valid/);
    expect(await look(verify, good)).toMatchObject({ id: 'ann' });
  });

  it('of an issuer and for an audience, where that was said', async () => {
    const of = jwt({ secret: SECRET, issuer: ['a', 'b'], audience: 'shop' });
    expect(await look(of, await signed({ iss: 'b', aud: ['other', 'shop'] }))).toMatchObject({ id: 'ann' });
    expect(await look(of, await signed({ iss: 'c', aud: 'shop' }))).toBe(
      'the token is not valid: its claim iss',
    );
    expect(await look(of, await signed({ iss: 'a', aud: 'shops' }))).toBe(
      'the token is not valid: its claim aud',
    );
    expect(await look(of, await signed({ iss: 'a' }))).toBe('the token is not valid: its claim aud');
  });

  it('claims have the shape and the type that was said; the id is what was said', async () => {
    const typed = jwt({
      secret: SECRET,
      claims: z.object({ role: z.enum(['a', 'b']).default('a'), uid: z.int() }),
      id: ({ uid }) => `user-${uid}`,
    });
    expect(await look(typed, await signed({ uid: 7 }))).toMatchObject({
      id: 'user-7',
      claims: { role: 'a', uid: 7 },
    });
    expect(await look(typed, await signed({ uid: 7, ...NO_SUB }))).toMatchObject({ id: 'user-7' });
    const misfit = 'the token is not valid: its claims do not fit';
    expect(await look(typed, await signed({ uid: 7, role: 'root' }))).toBe(misfit);
    expect(await look(typed, await signed({}))).toBe(misfit);
  });

  it('of other HMACs only where that was said', async () => {
    const token = await signed({}, { alg: 'HS512' });
    expect(await look(verify, token)).toBe(
      'the token is not valid: its algorithm is not one that is taken here',
    );
    expect(await look(jwt({ secret: SECRET, algorithms: ['HS512'] }), token)).toMatchObject({ id: 'ann' });
  });
});

describe('a public key', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const whose = { issuer: 'id', audience: null };
  const verify = jwt({ publicKey: pem, ...whose });

  const pairs: readonly (readonly [string, { publicKey: KeyObject; privateKey: KeyObject }])[] = [
    ['RS256', rsa],
    ['PS512', rsa],
    ['ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' })],
    ['ES512', generateKeyPairSync('ec', { namedCurve: 'P-521' })],
    ['EdDSA', generateKeyPairSync('ed25519')],
  ];
  it.each(pairs)('%s, as PEM and as JWK', async (alg, { publicKey, privateKey }) => {
    const token = await signed({ iss: 'id' }, { key: privateKey, alg });
    for (const key of [
      publicKey.export({ type: 'spki', format: 'pem' }).toString(),
      { ...publicKey.export({ format: 'jwk' }) },
    ])
      expect(await look(jwt({ publicKey: key, ...whose }), token)).toMatchObject({ id: 'ann' });
  });

  it('is no secret: what was signed with its text is not taken', async () => {
    for (const text of [pem, pem.trim(), JSON.stringify(rsa.publicKey.export({ format: 'jwk' }))]) {
      for (const alg of ['HS256', 'HS384', 'HS512']) {
        const token = await signed({ iss: 'id' }, { key: new TextEncoder().encode(text), alg });
        expect(await look(verify, token)).toMatch(/^the token is not valid: its algorithm/);
      }
    }
  });

  it('does not take what was signed with another, or says that it is of another kind', async () => {
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 });
    expect(await look(verify, await signed({ iss: 'id' }, { key: other.privateKey, alg: 'RS256' }))).toBe(
      'the token is not valid: its signature is of another key',
    );
    const [, , , , edwards] = pairs;
    if (!edwards) throw new Error('there is no such pair');
    const foreign = await signed({ iss: 'id' }, { key: edwards[1].privateKey, alg: 'EdDSA' });
    expect(await look(verify, foreign)).toMatch(/^the token is not valid/);
    expect(await look(verify, forged({ alg: 'none' }, { iss: 'id' }))).toMatch(/^the token is not valid/);
  });
});

describe('a set of keys', () => {
  let server: KeyServer;
  beforeAll(async () => {
    server = await startKeyServer();
  });
  afterAll(() => server.stop());
  const from = (more: object = {}): Authenticate<unknown> =>
    jwt({ jwks: server.url, issuer: 'id', audience: null, ...more });

  it('is fetched once, and again for a key that is not in it, but not for each token that names one', async () => {
    const first = await server.rotate('one');
    const verify = from({ jwksCooldownMs: 0 });
    const before = server.fetched;
    const tokens = await Promise.all([1, 2, 3, 4].map((n) => first.sign({ iss: 'id', n })));
    const all = await Promise.all(tokens.map((token) => look(verify, token)));
    expect(all).toMatchObject(all.map(() => ({ id: 'ann' })));
    expect(server.fetched).toBe(before + 1);
    const second = await server.rotate('two');
    expect(await look(verify, await second.sign({ iss: 'id' }))).toMatchObject({ id: 'ann' });
    // Its owner has withdrawn it.
    expect(await look(verify, await first.sign({ iss: 'id' }))).toBe(
      'the token is not valid: its key is not known',
    );
    const calm = from();
    await look(calm, await second.sign({ iss: 'id' }));
    const fetched = server.fetched;
    for (let n = 0; n < 20; n++)
      expect(await look(calm, forged({ alg: 'ES256', kid: `made-up-${n}` }, {}, 'AAAA'))).toMatch(
        /its key is not known/,
      );
    expect(server.fetched).toBe(fetched);
  });

  it('is no secret either', async () => {
    await server.rotate('one');
    const verify = from();
    const token = await signed({ iss: 'id' }, { kid: 'one' });
    expect(await look(verify, token)).toMatch(/its algorithm/);
    expect(await look(verify, forged({ alg: 'none', kid: 'one' }, { iss: 'id' }))).toMatch(
      /^the token is not valid/,
    );
  });

  it('a token that names none of several keys is tried with each', async () => {
    const first = await server.rotate(undefined);
    const second = await server.rotate(undefined, { keep: true });
    const verify = from();
    expect(await look(verify, await first.sign({ iss: 'id' }))).toMatchObject({ id: 'ann' });
    expect(await look(verify, await second.sign({ iss: 'id' }))).toMatchObject({ id: 'ann' });
    expect(await look(verify, await second.sign({ iss: 'id', exp: soon(-60) }))).toBe('token_expired');
    expect(
      await look(verify, forged({ alg: 'ES256' }, { iss: 'id' }, Buffer.alloc(64, 1).toString('base64url'))),
    ).toBe('the token is not valid: its signature is of another key');
  });

  it.each(['broken', 'not found', 'moved'] as const)(
    '%s: nobody can be told, and is not told no',
    async (mode) => {
      const { sign } = await server.rotate('one');
      const verify = from();
      server.mode = mode;
      const fetched = server.fetched;
      for (let n = 0; n < 5; n++)
        expect(await look(verify, await sign({ iss: 'id' }))).toBe('auth_unavailable');
      // Nobody knocks at a closed door with every token that comes.
      expect(server.fetched).toBe(fetched + 1);
      server.mode = 'keys';
    },
  );

  it('away: known keys go on, however old they are, and come back by themselves', async () => {
    const { sign } = await server.rotate('one');
    const verify = from({ jwksMaxAgeMs: 0 });
    expect(await look(verify, await sign({ iss: 'id' }))).toMatchObject({ id: 'ann' });
    server.mode = 'not found';
    for (let n = 0; n < 3; n++)
      expect(await look(verify, await sign({ iss: 'id', n }))).toMatchObject({ id: 'ann' });
    // A key that is not known may be a new one: that cannot be told now.
    expect(await look(verify, forged({ alg: 'ES256', kid: 'new' }, {}, 'AAAA'))).toMatch(
      /known|auth_unavailable/,
    );
    server.mode = 'keys';
  });
});

describe('refused where it is written, without anything of a key', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString();
  const planted = 'planted-secret';
  const cases: readonly (readonly [string, object, RegExp])[] = [
    ['nothing', {}, /expected one of secret, publicKey and jwks/],
    ['two kinds', { secret: SECRET, publicKey: key }, /expected one of/],
    ['a short secret', { secret: planted }, /secret: expected at least 32 random bytes/],
    ['an absent secret', { secret: undefined }, /secret: expected at least 32/],
    ['no key', { publicKey: planted, issuer: 'id', audience: null }, /publicKey: expected a public key/],
    [
      'a private key',
      {
        publicKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
        issuer: 'id',
        audience: null,
      },
      /not a private one/,
    ],
    [
      'a private JWK',
      { publicKey: { ...privateKey.export({ format: 'jwk' }) }, issuer: 'id', audience: null },
      /not a private one/,
    ],
    [
      'a curve that is not known',
      {
        publicKey: generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({
          type: 'spki',
          format: 'pem',
        }),
        issuer: 'id',
        audience: null,
      },
      /expected RSA, P-256/,
    ],
    ['no issuer', { publicKey: key, audience: null }, /expected issuer and audience/],
    ['no audience', { jwks: 'https://id.example', issuer: 'id' }, /expected issuer and audience/],
    ['an empty issuer', { secret: SECRET, issuer: '' }, /issuer: expected a text/],
    [
      'plain http',
      { jwks: 'http://id.example/keys', issuer: 'id', audience: null },
      /jwks: expected an https URL/,
    ],
    ['another protocol', { jwks: 'file:///etc/passwd', issuer: 'id', audience: null }, /https URL/],
    ['no algorithm', { secret: SECRET, algorithms: [] }, /algorithms: expected some of HS256/],
    ['none', { secret: SECRET, algorithms: ['none'] }, /algorithms/],
    ['a public key’s algorithm for a secret', { secret: SECRET, algorithms: ['RS256'] }, /algorithms/],
    [
      'a secret’s algorithm for a public key',
      { publicKey: key, issuer: 'id', audience: null, algorithms: ['HS256'] },
      /algorithms/,
    ],
    ['an hour of tolerance', { secret: SECRET, clockToleranceSec: 3_600 }, /clockToleranceSec/],
  ];
  it.each(cases)('%s', (_what, options, message) => {
    // As JavaScript would have it: the types forbid most of them.
    const made = (): unknown => jwt(options as Parameters<typeof jwt>[0]);
    expect(made).toThrow(message);
    expect(made).toThrow(/^(?!.*(planted|BEGIN|MHc|MIG))/);
  });

  it('a JWK is fine', () => {
    jwt({ publicKey: { ...publicKey.export({ format: 'jwk' }) }, issuer: 'id', audience: 'shop' });
  });
});
