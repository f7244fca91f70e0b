/** Ids that nobody else makes. */

/** 128 random bits in hex; `randomUUID` is missing on pages that came over plain HTTP. */
export const newId = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join(
    '',
  );
