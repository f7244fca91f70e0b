/** The keys that tokens are checked by: a shared secret, one public key, or a set of them that its owner rotates. */
import { createPublicKey, createSecretKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { createRemoteJWKSet, customFetch, type JWTVerifyGetKey } from 'jose';
import { DefinitionError } from '../../domain/errors.js';
import { isLoopbackHost } from '../../platform/origins.js';

export interface RemoteKeysOptions {
  /** Where the set is: https, or http on loopback. */
  readonly jwks: string | URL;
  /** Milliseconds after which the set is fetched again, beside what goes on; 600,000 unless told otherwise. */
  readonly jwksMaxAgeMs?: number;
  /** Milliseconds between two fetches for keys that are not in the set; 10,000 unless told otherwise. */
  readonly jwksCooldownMs?: number;
}

export interface Keys {
  readonly key: KeyObject | JWTVerifyGetKey;
  /** What they can check; tokens of another algorithm are refused unread, whatever they say of themselves. */
  readonly algorithms: readonly string[];
}

const SECRET_BYTES = 32;
const HMAC = ['HS256', 'HS384', 'HS512'];
const RSA = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
const CURVES: Readonly<Record<string, readonly string[]>> = {
  prime256v1: ['ES256'],
  secp384r1: ['ES384'],
  secp521r1: ['ES512'],
};
const EDWARDS = ['EdDSA', 'Ed25519'];
const TIMEOUT_MS = 5_000;
const MAX_AGE_MS = 600_000;
const COOLDOWN_MS = 10_000;
/** A set that could not be fetched again for so long is believed no more: a key of it may have been withdrawn. */
const BELIEVED_MS = 24 * 3_600_000;
/** After a fetch that failed, nobody tries for so long. */
const PAUSE_MS = 1_000;

/** @throws DefinitionError; without anything of the secret */
export function secretKeys(where: string, secret: unknown): Keys {
  const bytes =
    typeof secret === 'string'
      ? Buffer.from(secret)
      : secret instanceof Uint8Array
        ? Buffer.from(secret)
        : undefined;
  if (!bytes || bytes.length < SECRET_BYTES)
    throw new DefinitionError(`${where}.secret: expected at least ${SECRET_BYTES} random bytes`);
  return { key: createSecretKey(bytes), algorithms: HMAC };
}

function publicKeyOf(where: string, given: unknown): KeyObject {
  const expected = `${where}.publicKey: expected a public key, as PEM or JWK`;
  // A private one would give a public one too, but has no business here.
  const isPrivate =
    (typeof given === 'string' && given.includes('PRIVATE KEY')) ||
    (typeof given === 'object' && given !== null && 'd' in given);
  if (isPrivate) throw new DefinitionError(`${expected}, not a private one`);
  try {
    if (typeof given === 'string') return createPublicKey(given);
    return createPublicKey({ key: given as JsonWebKey, format: 'jwk' }); // what it is, createPublicKey finds out
  } catch {
    throw new DefinitionError(expected);
  }
}

function algorithmsOf(key: KeyObject): readonly string[] {
  if (key.asymmetricKeyType === 'rsa') return RSA;
  if (key.asymmetricKeyType === 'ed25519') return EDWARDS;
  return CURVES[key.asymmetricKeyDetails?.namedCurve ?? ''] ?? [];
}

/** @throws DefinitionError */
export function publicKeys(where: string, given: unknown): Keys {
  const key = publicKeyOf(where, given);
  const algorithms = algorithmsOf(key);
  if (algorithms.length === 0)
    throw new DefinitionError(`${where}.publicKey: expected RSA, P-256, P-384, P-521 or Ed25519`);
  return { key, algorithms };
}

function jwksUrl(where: string, given: string | URL): URL {
  const url = URL.canParse(String(given)) ? new URL(given) : undefined;
  const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopbackHost(url.hostname));
  if (!url || !isSafe) throw new DefinitionError(`${where}.jwks: expected an https URL`);
  return url;
}

const isKeySet = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && 'keys' in value && Array.isArray(value.keys);

/**
 * A set behind a URL. It is fetched when the first token comes, again when it is old (beside what goes on, so that nobody
 * waits for it and nobody is refused while its owner is away for a moment), and when a token names a key that is not in it.
 * @throws DefinitionError
 */
export function remoteKeys(where: string, options: RemoteKeysOptions): Keys {
  const url = jwksUrl(where, options.jwks);
  const { jwksMaxAgeMs = MAX_AGE_MS, jwksCooldownMs = COOLDOWN_MS } = options;
  let fetchedAt = Number.NEGATIVE_INFINITY;
  let failedAt = Number.NEGATIVE_INFINITY;
  const set = createRemoteJWKSet(url, {
    timeoutDuration: TIMEOUT_MS,
    cooldownDuration: jwksCooldownMs,
    // How old it may be is looked at below: here it would be refused while its owner is away.
    cacheMaxAge: Infinity,
    [customFetch]: async (at, request) => {
      if (performance.now() - failedAt < PAUSE_MS)
        throw new Error('the keys could not be fetched a moment ago');
      try {
        const response = await fetch(at, request);
        if (response.status !== 200) throw new Error(`the keys were answered with status ${response.status}`);
        const text = await response.text();
        if (!isKeySet(JSON.parse(text))) throw new Error('the keys were answered with something else');
        fetchedAt = performance.now();
        return new Response(text);
      } catch (error) {
        failedAt = performance.now();
        throw error;
      }
    },
  });
  const key: JWTVerifyGetKey = async (header, token) => {
    const age = performance.now() - fetchedAt;
    if (age > BELIEVED_MS) await set.reload();
    // Whoever needs it and cannot have it is told; nobody needs this one yet.
    else if (age > jwksMaxAgeMs && !set.reloading) set.reload().catch(() => undefined);
    return set(header, token);
  };
  return { key, algorithms: [...RSA, ...Object.values(CURVES).flat(), ...EDWARDS] };
}
