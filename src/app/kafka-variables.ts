/** The variables that say where Kafka is and how it lets us in. None of them shows more than host names in what is refused. */
import { readFileSync } from 'node:fs';
import type { Fault } from '../platform/errors.js';
import { messageOf } from '../platform/errors.js';
import { integer, list, oneOf, rawVariable, variable } from './variables.js';

const MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512'] as const;

export interface KafkaConfig {
  /** `host:port` each. */
  readonly brokers: readonly string[];
  /** True: authorities that Node knows; an object: those in it. */
  readonly tls: boolean | { readonly ca: string };
  readonly sasl:
    | {
        readonly mechanism: (typeof MECHANISMS)[number];
        readonly username: string;
        readonly password: string;
      }
    | undefined;
  /** Copies of each partition of the topics that we make; undefined: what the brokers take for their default. */
  readonly replication: number | undefined;
}

const HOST = /^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/i;

function broker(text: string): string | undefined {
  const [host = '', port = '', ...more] = text.split(':');
  const fits = more.length === 0 && HOST.test(host) && /^\d{1,5}$/.test(port);
  return fits && Number(port) >= 1 && Number(port) <= 65_535 ? `${host.toLowerCase()}:${port}` : undefined;
}

/** What is wrong with the first that is; it shows the host at the most. */
function brokerHint(text: string): string | undefined {
  if (text.includes('@')) return 'user and password stand in KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD';
  const parts = text.split(',').map((part) => part.trim());
  const at = parts.findIndex((part) => broker(part) === undefined);
  const wrong = parts[at] ?? '';
  const which = `broker ${at + 1}`;
  if (wrong === '') return `${which} is empty`;
  if (/^[a-z_+]+:\/\//i.test(wrong)) return `${which}: leave out the protocol (KAFKA_TLS=true is for TLS)`;
  if (wrong.startsWith('[')) return `${which} is an IPv6 address: use a host name for it`;
  const [host = ''] = wrong.split(':');
  if (!HOST.test(host)) return `${which} has no host name`;
  return `${which} (${host.slice(0, 100)}) needs a port from 1 to 65535`;
}

/** Brokers without what may stand around them: nothing up to the last `@` shows, nor does any port, path or query. */
const brokerHosts = (text: string): string =>
  text
    .slice(text.lastIndexOf('@') + 1)
    .split(',')
    .map((one) => /^(?:[a-z_]+:\/\/)?(\[[0-9a-f:.]*\]|[a-z0-9._-]*)/i.exec(one.trim())?.[1] ?? '')
    .filter((host) => host !== '')
    .join(',');

const certificates = (path: string): string | Error => {
  try {
    const text = readFileSync(path, 'utf8');
    return text.includes('-----BEGIN CERTIFICATE-----') ? text : new Error('it holds no PEM certificate');
  } catch (error) {
    return error instanceof Error ? error : new Error(messageOf(error));
  }
};

const looksLikePath = (text: string): boolean => !text.includes('\0') && !text.startsWith('-----');

function readTls(text: string): KafkaConfig['tls'] | undefined {
  if (text === 'true' || text === 'false') return text === 'true';
  const ca = looksLikePath(text) ? certificates(text) : undefined;
  return typeof ca === 'string' ? Object.freeze({ ca }) : undefined;
}

function tlsHint(text: string): string | undefined {
  if (!looksLikePath(text)) return 'name the file that holds it';
  const read = certificates(text);
  return read instanceof Error ? read.message : undefined;
}

const secret = (text: string): string | undefined =>
  text.includes('\0') ? undefined : text.replace(/\r?\n$/, '');

export const kafkaVariables = {
  KAFKA_BROKERS: list(
    'host:port of one or more brokers, separated by commas',
    'Kafka brokers to begin with; the others are learnt from them. Absent: no Kafka, processes follow Postgres.',
    broker,
    brokerHint,
  ).optional(),
  KAFKA_TLS: variable(
    'true, false, or the path of a PEM file of certificate authorities',
    'Whether connections to Kafka are encrypted; a file holds the authorities to trust instead of those that Node knows.',
    readTls,
    tlsHint,
  ).default(false),
  KAFKA_SASL_MECHANISM: variable(
    `one of ${MECHANISMS.join(', ')}`,
    'How to log in to Kafka. Absent: without.',
    (text) => oneOf(MECHANISMS, text.toLowerCase()),
  ).optional(),
  KAFKA_SASL_USERNAME: variable('a user name', 'User of Kafka.', secret).optional(),
  KAFKA_SASL_PASSWORD: rawVariable('a password', 'Its password; never shown anywhere.', secret).optional(),
  KAFKA_REPLICATION: integer(
    'a whole number from 1 to 100',
    'Copies of each partition of the topics that Tidemark makes. Absent: the default of the brokers.',
    1,
    100,
  ).optional(),
};

/** What a refusal repeats of a value that may hold secrets. */
export const KAFKA_SHOWN: Readonly<Record<string, (value: string) => string>> = {
  KAFKA_BROKERS: brokerHosts,
  KAFKA_TLS: (value) => (looksLikePath(value) ? value : ''),
  KAFKA_SASL_USERNAME: () => '',
  KAFKA_SASL_PASSWORD: () => '',
};

interface Values {
  readonly KAFKA_BROKERS?: readonly string[] | undefined;
  readonly KAFKA_TLS: KafkaConfig['tls'];
  readonly KAFKA_SASL_MECHANISM?: (typeof MECHANISMS)[number] | undefined;
  readonly KAFKA_SASL_USERNAME?: string | undefined;
  readonly KAFKA_SASL_PASSWORD?: string | undefined;
  readonly KAFKA_REPLICATION?: number | undefined;
}

const SASL_NAMES = ['KAFKA_SASL_MECHANISM', 'KAFKA_SASL_USERNAME', 'KAFKA_SASL_PASSWORD'] as const;

/** What does not fit together: each variable is right by itself. */
export function kafkaFaults(given: Readonly<Record<string, string>>): Fault[] {
  const first = Object.keys(kafkaVariables).find((name) => name !== 'KAFKA_BROKERS' && name in given);
  if (!('KAFKA_BROKERS' in given))
    return first === undefined
      ? []
      : [
          {
            path: 'KAFKA_BROKERS',
            message: `expected host:port of one or more brokers, as ${first} is set`,
          },
        ];
  const there = SASL_NAMES.filter((name) => name in given);
  if (there.length === 0) return [];
  return SASL_NAMES.filter((name) => !(name in given)).map((path) => ({
    path,
    message: `expected ${kafkaVariables[path].unwrap().meta()?.['expected']}, as ${there[0]} is set`,
  }));
}

/** @param values in which `kafkaFaults` found nothing */
export function kafkaConfig(values: Values): KafkaConfig | undefined {
  const { KAFKA_BROKERS: brokers, KAFKA_SASL_MECHANISM: mechanism } = values;
  if (brokers === undefined) return undefined;
  const { KAFKA_SASL_USERNAME: username = '', KAFKA_SASL_PASSWORD: password = '' } = values;
  return Object.freeze({
    brokers,
    tls: values.KAFKA_TLS,
    sasl: mechanism && Object.freeze({ mechanism, username, password }),
    replication: values.KAFKA_REPLICATION,
  });
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+):/;

/** The brokers, for people. */
export const shownBrokers = ({ brokers }: Pick<KafkaConfig, 'brokers'>): string => brokers.join(', ');

/** Whether the password travels as it is, to where others may listen. */
export const showsItsPassword = ({ brokers, tls, sasl }: KafkaConfig): boolean =>
  sasl?.mechanism === 'plain' && tls === false && !brokers.every((one) => LOOPBACK.test(one));
