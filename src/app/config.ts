/**
 * The environment of a process: one schema with defaults, units and descriptions. Parsed once, all faults told together,
 * frozen afterwards. The table in the docs is made from the same schema.
 */
import { z } from 'zod';
import { TidemarkError, type Fault } from '../platform/errors.js';
import { canonicalOrigin, LOOPBACK_ORIGINS } from '../platform/origins.js';
import { isProxyRange } from '../platform/proxies.js';
import {
  KAFKA_SHOWN,
  kafkaConfig,
  kafkaFaults,
  kafkaVariables,
  type KafkaConfig,
} from './kafka-variables.js';
import { socketLimits, socketVariables, type SocketLimits } from './socket-variables.js';
import { nearestOf } from './nearest.js';
import { integer, list, oneOf, variable } from './variables.js';

export const ROLES = ['api', 'relay', 'projector', 'gateway'] as const;
export type Role = (typeof ROLES)[number];

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

const SOCKET_ENGINES = ['auto', 'uws', 'ws'] as const;

/**
 * Whether user or password stand there raw: a `/`, `?` or `#` in them ends what a URL takes for the host, and the `@` that
 * should follow them comes later; a `%` begins nothing.
 */
function hasRawPassword(text: string): boolean {
  const [, authority = '', tail = ''] = /^postgres(?:ql)?:\/\/([^/?#]*)(.*)$/s.exec(text) ?? [];
  const credentials = authority.includes('@') ? authority.slice(0, authority.lastIndexOf('@')) : undefined;
  if (credentials !== undefined) return /%(?![0-9a-f]{2})/i.test(credentials);
  return authority.includes(':') && /^(#.*@|\/[^?]*@|\?[^=]*@)/s.test(tail);
}

function postgresUrl(text: string): string | undefined {
  if (!/^postgres(ql)?:\/\//.test(text) || hasRawPassword(text) || !URL.canParse(text)) return undefined;
  return text;
}

const rawPasswordHint = (text: string): string | undefined =>
  hasRawPassword(text)
    ? 'percent-encode what is special in the password (# as %23, / as %2F, ? as %3F, % as %25, @ as %40)'
    : undefined;

function socketUrl(text: string): string | undefined {
  if (!/^wss?:\/\/[^/?#@\\]+(\/[^?#\s]*)?$/i.test(text) || !URL.canParse(text)) return undefined;
  return new URL(text).href;
}

const hostName = (text: string): string | undefined =>
  /^(\[[0-9a-f:.]+\]|[a-z0-9]([a-z0-9._-]*[a-z0-9])?)$/i.test(text) ? text.toLowerCase() : undefined;

const bindAddress = (text: string): string | undefined =>
  hostName(text) ?? (/^[0-9a-f:.]+$/i.test(text) ? text : undefined);

function trustProxy(text: string): boolean | readonly string[] | undefined {
  if (text === 'true' || text === 'false') return text === 'true';
  const ranges = text.split(',').map((part) => part.trim());
  return ranges.every(isProxyRange) ? ranges : undefined;
}

const Environment = z.object({
  DATABASE_URL: variable(
    'a URL of the form postgres://user:password@host:port/database',
    'The Postgres to use, version 15 or newer. Absent: an embedded one, in the data folder.',
    postgresUrl,
    rawPasswordHint,
  ).optional(),
  ...kafkaVariables,
  HOST: variable(
    'a host name or an address to bind to',
    'Address that the servers listen on. Bound to loopback, only loopback names are answered to (see TIDEMARK_HOSTS).',
    bindAddress,
  ).default('127.0.0.1'),
  PORT: integer(
    'a port from 0 to 65535 (0 takes a free one)',
    'Port of HTTP; health and metrics are on it whatever the roles.',
    0,
    65_535,
  ).default(3000),
  REALTIME_PORT: integer(
    'a port from 0 to 65535 (0 takes a free one)',
    'Port of the realtime socket.',
    0,
    65_535,
  ).default(3001),
  TIDEMARK_REALTIME_URL: variable(
    'a URL like wss://shop.example/realtime',
    'Where browsers reach the realtime socket, as behind a proxy; the page that `--page` serves is told. Absent: REALTIME_PORT of the host that the page was opened with.',
    socketUrl,
  ).optional(),
  TIDEMARK_ROLES: list(
    `some of ${ROLES.join(', ')}, separated by commas`,
    'What this process does.',
    (text) => oneOf(ROLES, text),
  ).default(ROLES),
  TIDEMARK_DATA_DIR: variable(
    'a path',
    'Folder of the embedded Postgres. Absent: `.tidemark/` in the project, or a place that the Postgres user can reach when run as root.',
    (text) => (text.includes('\0') ? undefined : text),
  ).optional(),
  TIDEMARK_SCHEMA: variable(
    'a schema name of up to 40 of a–z, 0–9 and _, not beginning with a digit or pg_',
    'Postgres schema of all tables.',
    (text) => (/^(?!pg_)[a-z_][a-z0-9_]{0,39}$/.test(text) ? text : undefined),
  ).default('tidemark'),
  TIDEMARK_ORIGINS: list(
    `origins like https://shop.example, or ${LOOPBACK_ORIGINS} (any loopback host and port), separated by commas`,
    'Pages that may call HTTP and the socket from a browser. What sends no Origin is let through.',
    (text) => (text === LOOPBACK_ORIGINS ? text : canonicalOrigin(text)),
  ).default([LOOPBACK_ORIGINS]),
  TIDEMARK_HOSTS: list(
    'host names without ports, separated by commas',
    'Names that the servers answer to, beside loopback names. Absent: any, unless bound to loopback.',
    hostName,
  ).default([]),
  TIDEMARK_TRUST_PROXY: variable(
    'true, false, or addresses and CIDR ranges, separated by commas',
    'Proxies whose X-Forwarded headers are believed.',
    trustProxy,
  ).default(false),
  TIDEMARK_POOL_SIZE: integer(
    'a whole number from 2 to 100',
    'Connections to Postgres at the most, per role.',
    2,
    100,
  ).default(6),
  TIDEMARK_APPEND_LANES: integer(
    'a whole number from 1 to 16',
    'Appends in flight at the most, each for shards of its own. One is best up to about 64 concurrent writers, two at 256.',
    1,
    16,
  ).default(1),
  TIDEMARK_SOCKET_ENGINE: variable(
    `one of ${SOCKET_ENGINES.join(', ')}`,
    'Engine of the realtime socket; auto takes uWebSockets.js where it loads, and ws elsewhere.',
    (text) => oneOf(SOCKET_ENGINES, text),
  ).default('auto'),
  ...socketVariables,
  TIDEMARK_STOP_TIMEOUT_MS: integer(
    'milliseconds from 100 to 600000',
    'Milliseconds that a stop may take before what still runs is cut off.',
    100,
    600_000,
  ).default(4500),
  LOG_LEVEL: variable(
    `one of ${LOG_LEVELS.join(', ')}`,
    'Least level of log lines, JSON on standard output.',
    (text) => oneOf(LOG_LEVELS, text),
  ).default('info'),
});

export interface Config {
  /** Undefined: an embedded Postgres. */
  readonly databaseUrl: string | undefined;
  readonly schema: string;
  /** Undefined: no Kafka. */
  readonly kafka: KafkaConfig | undefined;
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  /** 0: a free one. */
  readonly realtimePort: number;
  /** Where browsers reach the socket; undefined: `realtimePort` of the host that they know. */
  readonly realtimeUrl: string | undefined;
  readonly roles: readonly Role[];
  readonly dataDir: string | undefined;
  /** Origins in canonical form, and `loopback`. */
  readonly origins: readonly string[];
  readonly hosts: readonly string[];
  readonly trustProxy: boolean | readonly string[];
  /** Connections at the most, per role. */
  readonly poolSize: number;
  /** Append calls in flight at the most. */
  readonly appendLanes: number;
  readonly socketEngine: (typeof SOCKET_ENGINES)[number];
  readonly socketLimits: SocketLimits;
  /** Milliseconds. */
  readonly stopTimeoutMs: number;
  readonly logLevel: (typeof LOG_LEVELS)[number];
}

/** What a refusal repeats of a value that may hold secrets; everything of the others. */
const SHOWN: Readonly<Record<string, (value: string) => string>> = {
  DATABASE_URL: () => '',
  ...KAFKA_SHOWN,
};

function describe(name: string, value: string | undefined, message: string): string {
  const shown = value === undefined ? '' : (SHOWN[name]?.(value) ?? value);
  return `${name}${shown === '' ? '' : `=${JSON.stringify(shown.slice(0, 100))}`}: ${message}`;
}

/** An empty variable counts as absent, as compose files set it. */
function present(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const names = Object.keys(Environment.shape);
  return Object.fromEntries(
    names.flatMap((name) => (env[name] === undefined || env[name].trim() === '' ? [] : [[name, env[name]]])),
  );
}

/**
 * @param env usually `process.env`; variables that are not Tidemark’s are not looked at
 * @throws TidemarkError `invalid_config`: a line for every variable that is wrong, with what was expected
 */
export function loadConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const given = present(env);
  const parsed = Environment.safeParse(given);
  const faults: Fault[] = parsed.success
    ? []
    : parsed.error.issues.map((issue) => ({ path: String(issue.path[0]), message: issue.message }));
  const values = parsed.data;
  if (
    values &&
    values.PORT !== 0 &&
    values.PORT === values.REALTIME_PORT &&
    values.TIDEMARK_ROLES.includes('gateway')
  ) {
    faults.push({ path: 'REALTIME_PORT', message: 'expected another port than PORT' });
  }
  faults.push(...(values ? kafkaFaults(given) : []));
  if (!values || faults.length > 0) {
    const lines = faults.map(({ path, message }) => describe(path, given[path], message));
    throw new TidemarkError('invalid_config', lines.join('\n'), { faults });
  }
  return Object.freeze({
    databaseUrl: values.DATABASE_URL,
    schema: values.TIDEMARK_SCHEMA,
    kafka: kafkaConfig(values),
    host: values.HOST,
    port: values.PORT,
    realtimePort: values.REALTIME_PORT,
    realtimeUrl: values.TIDEMARK_REALTIME_URL,
    roles: values.TIDEMARK_ROLES,
    dataDir: values.TIDEMARK_DATA_DIR,
    origins: values.TIDEMARK_ORIGINS,
    hosts: values.TIDEMARK_HOSTS,
    trustProxy: values.TIDEMARK_TRUST_PROXY,
    poolSize: values.TIDEMARK_POOL_SIZE,
    appendLanes: values.TIDEMARK_APPEND_LANES,
    socketEngine: values.TIDEMARK_SOCKET_ENGINE,
    socketLimits: socketLimits(values),
    stopTimeoutMs: values.TIDEMARK_STOP_TIMEOUT_MS,
    logLevel: values.LOG_LEVEL,
  });
}

export interface UnknownVariable {
  readonly variable: string;
  /** What was most likely meant; absent where nothing is like it. */
  readonly nearest?: string;
}

/** `TIDEMARK_…` variables that mean nothing, most likely misspelt. */
export function unknownVariables(
  env: Readonly<Record<string, string | undefined>>,
): readonly UnknownVariable[] {
  const names = Object.keys(Environment.shape);
  return Object.keys(env)
    .filter((name) => /^TIDEMARK_(?!TEST_)/.test(name) && !names.includes(name))
    .map((name) => {
      const nearest = nearestOf(name, names);
      return { variable: name, ...(nearest === undefined ? {} : { nearest }) };
    });
}

export interface VariableDoc {
  readonly name: string;
  /** Empty where there is none. */
  readonly fallback: string;
  readonly expected: string;
  readonly description: string;
}

/** A row per variable, in the order of the schema; the docs’ table is made from it. */
export function describeEnvironment(): readonly VariableDoc[] {
  return Object.entries(Environment.shape).map(([name, schema]) => {
    const inner = schema.unwrap();
    const meta = inner.meta();
    const fallback: unknown = schema instanceof z.ZodDefault ? schema.def.defaultValue : undefined;
    return {
      name,
      fallback: fallback === undefined ? '' : String(fallback),
      expected: String(meta?.['expected']),
      description: meta?.description ?? '',
    };
  });
}
