/** Structured logs (pino, JSON lines). Secrets have no place in them: URLs are shown without passwords. */
import { pino, type Logger as PinoLogger } from 'pino';

export type Logger = Pick<PinoLogger, 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal'> & {
  child(bindings: Record<string, unknown>): Logger;
};

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

/**
 * An error as the log shows it: type, code, message, stack and causes. Nothing else, as drivers hang data on their errors
 * (Postgres puts whole rows into `detail`).
 */
function describeError(thrown: unknown, depth = 0): unknown {
  if (!(thrown instanceof Error)) return String(thrown);
  const code = 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined;
  return {
    type: thrown.name,
    ...(code === undefined ? {} : { code }),
    message: thrown.message,
    stack: thrown.stack,
    ...(thrown.cause === undefined || depth >= 5 ? {} : { cause: describeError(thrown.cause, depth + 1) }),
  };
}

/** @param destination where lines go; standard output unless told otherwise */
export function createLogger(options: {
  readonly level: LogLevel;
  readonly base?: Record<string, unknown>;
  readonly destination?: { write(line: string): void };
}): Logger {
  const settings = {
    level: options.level,
    base: options.base ?? {},
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    serializers: { err: (thrown: unknown) => describeError(thrown) },
    formatters: { level: (label: string) => ({ level: label }) },
    redact: {
      paths: [
        'password',
        '*.password',
        'authorization',
        '*.authorization',
        'headers.authorization',
        'headers.cookie',
      ],
      censor: '[redacted]',
    },
  };
  return options.destination ? pino(settings, options.destination) : pino(settings);
}

export const silentLogger: Logger = createLogger({ level: 'silent' });

/** A connection URL as it may be shown: no password, no query. */
export function showUrl(url: string): string {
  try {
    const parsed = new URL(url);
    const user = parsed.username ? `${parsed.username}@` : '';
    return `${parsed.protocol}//${user}${parsed.host}${parsed.pathname}`;
  } catch {
    return '(not a URL)';
  }
}
