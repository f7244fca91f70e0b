/**
 * Positions that leave the process are signed with a key that lives in the schema, so that every process accepts them.
 * Form: `base64url(JSON) "." base64url(first 16 bytes of HMAC-SHA-256)`; URL-safe, no padding.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

const TAG_BYTES = 16;
/** Longer strings are refused before any work is done on them. */
const MAX_CHARS = 8192;

export class Signer {
  readonly #key: Buffer;

  /** @param key at least 32 random bytes */
  constructor(key: Buffer) {
    if (key.length < 32) throw new RangeError(`a signing key has at least 32 bytes, this one ${key.length}`);
    this.#key = key;
  }

  sign(payload: unknown): string {
    const body = Buffer.from(JSON.stringify(payload)).toString('base64url');
    return `${body}.${this.#tag(body).toString('base64url')}`;
  }

  /** The payload as it was signed, or undefined when the string was not made by this key. */
  verify(text: string): unknown {
    if (text.length > MAX_CHARS) return undefined;
    const dot = text.indexOf('.');
    if (dot < 1) return undefined;
    const body = text.slice(0, dot);
    const tag = Buffer.from(text.slice(dot + 1), 'base64url');
    if (tag.length !== TAG_BYTES || tag.toString('base64url') !== text.slice(dot + 1)) return undefined;
    if (!timingSafeEqual(tag, this.#tag(body))) return undefined;
    return JSON.parse(Buffer.from(body, 'base64url').toString('utf8'));
  }

  #tag(body: string): Buffer {
    return createHmac('sha256', this.#key).update(body).digest().subarray(0, TAG_BYTES);
  }
}
