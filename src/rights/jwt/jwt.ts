/** `jwt({ … })`: who a JSON Web Token says its bearer is (RFC 7519; what to look at: RFC 8725). */
import { errors, jwtVerify, type JWTPayload, type JWTVerifyOptions } from 'jose';
import type { z } from 'zod';
import { DefinitionError } from '../../domain/errors.js';
import { principalFault } from '../../domain/identifiers.js';
import type { Authenticate, Claims, Principal } from '../../domain/rights.js';
import { TidemarkError } from '../../platform/errors.js';
import { publicKeys, remoteKeys, secretKeys, type Keys, type RemoteKeysOptions } from './keys.js';

interface Common<C> {
  /** Of these, and of no other that the keys can check. HS256 with a secret, unless told otherwise. */
  readonly algorithms?: readonly string[];
  /** Seconds by which clocks may differ, 0–300; 5 unless told otherwise. */
  readonly clockToleranceSec?: number;
  /** What the claims must look like; also gives them their types. A token whose claims do not fit is refused. */
  readonly claims?: z.ZodType<C>;
  /** The principal’s id; the claim `sub` unless told otherwise. */
  readonly id?: (claims: C) => string;
}

interface FromWhom {
  /** `iss`: who gives out the tokens. */
  readonly issuer: string | readonly string[];
  /** `aud`: for whom; null where the issuer says nothing of it, so that tokens for its other services are taken too. */
  readonly audience: string | readonly string[] | null;
}

interface WithSecret extends Partial<FromWhom> {
  /** At least 32 random bytes, which only who gives out the tokens knows beside this application. */
  readonly secret: string | Uint8Array;
}
interface WithPublicKey extends FromWhom {
  /** PEM (a key or a certificate) or JWK: RSA, P-256, P-384, P-521, Ed25519. */
  readonly publicKey: string | Readonly<Record<string, unknown>>;
}
interface WithKeySet extends FromWhom, RemoteKeysOptions {}

export type JwtOptions<C = Claims> = Common<C> & (WithSecret | WithPublicKey | WithKeySet);

const WHERE = 'jwt';
const DEFAULT_TOLERANCE_SEC = 5;
const MAX_TOLERANCE_SEC = 300;

function keysOf(options: object): Keys {
  const kinds = ['secret', 'publicKey', 'jwks'].filter((kind) => kind in options);
  if (kinds.length !== 1) throw new DefinitionError(`${WHERE}: expected one of secret, publicKey and jwks`);
  if ('secret' in options) return secretKeys(WHERE, options.secret);
  if ('publicKey' in options) return publicKeys(WHERE, options.publicKey);
  // The types of `jwt` say it; what is not there is told by `remoteKeys`.
  return remoteKeys(WHERE, options as RemoteKeysOptions);
}

function algorithmsOf({ algorithms: known }: Keys, given: readonly string[] | undefined): string[] {
  const foreign = given?.find((one) => !known.includes(one));
  if (foreign !== undefined || given?.length === 0)
    throw new DefinitionError(`${WHERE}.algorithms: expected some of ${known.join(', ')}`);
  // Secrets are the same for all; one that was meant for the first is most likely as long as that needs.
  return [...(given ?? (known.includes('HS256') ? ['HS256'] : known))];
}

function texts(name: string, given: unknown): string | string[] {
  const list: unknown[] = Array.isArray(given) ? given : [given];
  const fits = list.filter((one): one is string => typeof one === 'string' && one !== '');
  if (list.length === 0 || fits.length < list.length)
    throw new DefinitionError(`${WHERE}.${name}: expected a text, or a list of texts`);
  return Array.isArray(given) ? fits : (fits[0] ?? '');
}

function claimsAsked<C>(options: JwtOptions<C>): Pick<JWTVerifyOptions, 'issuer' | 'audience'> {
  const { issuer, audience } = options;
  if (!('secret' in options) && (issuer === undefined || audience === undefined))
    throw new DefinitionError(
      `${WHERE}: expected issuer and audience (null where tokens have none), as others have the key too`,
    );
  return {
    ...(issuer === undefined ? {} : { issuer: texts('issuer', issuer) }),
    ...(audience === undefined || audience === null ? {} : { audience: texts('audience', audience) }),
  };
}

function toleranceOf(given: number = DEFAULT_TOLERANCE_SEC): number {
  if (given >= 0 && given <= MAX_TOLERANCE_SEC) return given;
  throw new DefinitionError(`${WHERE}.clockToleranceSec: expected 0 to ${MAX_TOLERANCE_SEC}`);
}

const invalid = (why: string): TidemarkError =>
  new TidemarkError('unauthenticated', `the token is not valid: ${why}`);

/** What is wrong with a token, by the codes of jose. What is in neither list says nothing about the token. */
const FAULTS: Readonly<Record<string, string>> = {
  ERR_JOSE_ALG_NOT_ALLOWED: 'its algorithm is not one that is taken here',
  ERR_JOSE_NOT_SUPPORTED: 'it asks for what is not known here',
  ERR_JWS_INVALID: 'it is no signed JWT',
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: 'its signature is of another key',
  ERR_JWT_INVALID: 'its claims are no JSON object',
  ERR_JWKS_NO_MATCHING_KEY: 'its key is not known',
};

function failureOf(thrown: unknown): unknown {
  if (thrown instanceof errors.JWTExpired)
    // Also a token whose `exp` is no number is refused so.
    return new TidemarkError('token_expired', 'the token has expired');
  if (thrown instanceof errors.JWTClaimValidationFailed) return invalid(`its claim ${thrown.claim}`);
  const why = thrown instanceof errors.JOSEError ? FAULTS[thrown.code] : undefined;
  if (why !== undefined) return invalid(why);
  return new TidemarkError('auth_unavailable', 'the keys cannot be fetched', { cause: thrown });
}

type Verify = (token: string) => Promise<JWTPayload>;

function verifier({ key }: Keys, options: JWTVerifyOptions): Verify {
  const check = async (token: string, by: Keys['key']): Promise<JWTPayload> =>
    (typeof by === 'function' ? await jwtVerify(token, by, options) : await jwtVerify(token, by, options))
      .payload;
  return async (token) => {
    try {
      return await check(token, key);
    } catch (thrown) {
      if (!(thrown instanceof errors.JWKSMultipleMatchingKeys)) throw failureOf(thrown);
      // It does not say which key: each that could be meant is tried.
      for await (const one of thrown) {
        try {
          return (await jwtVerify(token, one, options)).payload;
        } catch (again) {
          if (!(again instanceof errors.JWSSignatureVerificationFailed)) throw failureOf(again);
        }
      }
      throw failureOf(new errors.JWSSignatureVerificationFailed());
    }
  };
}

/**
 * An `authenticate` for signed JWTs that end (`exp`). The keys are a shared `secret`, a `publicKey`, or a set behind an
 * https URL (`jwks`), which is cached and follows its owner’s rotation.
 * @throws DefinitionError with what was expected; without anything of a key
 */
export function jwt<C = Claims>(options: JwtOptions<C>): Authenticate<C> {
  const keys = keysOf(options);
  const { claims: schema, id } = options;
  const toleranceSec = toleranceOf(options.clockToleranceSec);
  const verify = verifier(keys, {
    ...claimsAsked(options),
    algorithms: algorithmsOf(keys, options.algorithms),
    clockTolerance: toleranceSec,
    requiredClaims: id ? ['exp'] : ['exp', 'sub'],
  });
  return async ({ token }): Promise<Principal<C>> => {
    const payload = await verify(token);
    const parsed = schema?.safeParse(payload);
    if (parsed && !parsed.success) throw invalid('its claims do not fit');
    // Without a schema C is what every JWT has: claims by name.
    const claims = parsed ? parsed.data : (payload as C);
    const whose = id ? id(claims) : (payload.sub ?? '');
    if (typeof whose !== 'string' || principalFault(whose) !== undefined) throw invalid('its id');
    return {
      id: whose,
      claims,
      expiresAt: ((payload.exp ?? 0) + toleranceSec) * 1_000,
    };
  };
}
