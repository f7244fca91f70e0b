/** What a driver error means. SQLSTATE classes: https://www.postgresql.org/docs/current/errcodes-appendix.html */

/** The five-character SQLSTATE of an error from Postgres, else undefined. */
export function sqlState(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  const code = error.code;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && 'severity' in error ? code : undefined;
}

/** Serialization failure or deadlock: the transaction was rolled back and may be begun again. */
export function isRetryable(error: unknown): boolean {
  const state = sqlState(error);
  return state === '40001' || state === '40P01';
}

/** Postgres refused the data itself (value out of range, constraint, limit): a repeat fails the same way. */
export function isRefused(error: unknown): boolean {
  return /^(22|23|54)/.test(sqlState(error) ?? '');
}

/** A lock or statement timeout, or a cancel: rolled back, nothing happened. */
export function isTimeout(error: unknown): boolean {
  const state = sqlState(error);
  return state === '55P03' || state === '57014';
}

/** Postgres answered with an error: whatever was sent was rolled back. False means that the outcome may be unknown. */
export function wasAnswered(error: unknown): boolean {
  const state = sqlState(error);
  // 57P01–57P03 and 08…: the server went away; class 40003: "statement completion unknown".
  return state !== undefined && !/^(08|57P0|40003)/.test(state);
}

/**
 * Of the classes in which Postgres also ends with a PANIC (out of disk, I/O errors, bugs): it may have written its commit
 * before. The severity that would tell is translated to the server's language, so that only a look at the session does.
 */
export function mayBePanic(error: unknown): boolean {
  return /^(25P0[34]|53|58|F0|XX)/.test(sqlState(error) ?? '');
}

/** The connection was refused, lost or never made. */
export function isUnavailable(error: unknown): boolean {
  const state = sqlState(error);
  if (state !== undefined) return /^(08|57P0|53)/.test(state);
  return (
    error instanceof Error &&
    !('severity' in error) &&
    /ECONN|EPIPE|ETIMEDOUT|ENOENT|ENOTFOUND|EAI_AGAIN|terminated|Connection|connect|closed|timeout exceeded|read timeout/i.test(
      `${'code' in error ? String(error.code) : ''} ${error.message}`,
    )
  );
}
