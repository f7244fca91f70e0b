/** What makes a request the same request: a hash over its canonical JSON, kept beside its idempotency key. */
import { createHash } from 'node:crypto';

/** JSON with sorted keys, so that the same value gives the same text. Values must be JSON. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const parts = Object.entries(value)
      .filter(([, inner]) => inner !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, inner]) => `${JSON.stringify(name)}:${canonicalJson(inner)}`);
    return `{${parts.join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}

export const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

export interface HashedRequest {
  readonly streamId: string;
  /** As it was sent, before the schema gives defaults: a schema that changes must not make a retry another request. */
  readonly payload: unknown;
  readonly ifMatch: number | '*' | undefined;
  readonly ifNoneMatch: boolean;
}

export const requestHash = (request: HashedRequest): Buffer =>
  sha256(canonicalJson([request.streamId, request.payload, request.ifMatch ?? null, request.ifNoneMatch]));

/** Idempotency keys of two actors, aggregates or commands never meet. */
export const idempotencyScope = (actor: string, aggregate: string, command: string): string =>
  JSON.stringify([actor, aggregate, command]);
