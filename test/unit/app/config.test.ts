/** The environment: defaults, what is refused and how it is said. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { describeEnvironment, loadConfig, unknownVariables } from '../../../src/app/config.js';
import { isTidemarkError } from '../../../src/platform/errors.js';

function refusal(env: Record<string, string>): string {
  try {
    loadConfig(env);
  } catch (error) {
    if (isTidemarkError(error, 'invalid_config')) return error.message;
    throw error;
  }
  return 'accepted';
}

describe('loadConfig', () => {
  it('has the defaults of the design', () => {
    expect(loadConfig({})).toMatchObject({
      databaseUrl: undefined,
      dataDir: undefined,
      host: '127.0.0.1',
      port: 3000,
      realtimePort: 3001,
      roles: ['api', 'relay', 'projector', 'gateway'],
      logLevel: 'info',
      schema: 'tidemark',
    });
  });

  it('takes an empty variable for an absent one', () => {
    expect(loadConfig({ PORT: '', DATABASE_URL: ' ' })).toEqual(loadConfig({}));
  });

  it('reads what is given', () => {
    const config = loadConfig({
      DATABASE_URL: 'postgresql://u:p@db/x?sslmode=require',
      PORT: '0',
      REALTIME_PORT: '0',
      HOST: '::1',
      TIDEMARK_ROLES: 'api, gateway,api',
      TIDEMARK_ORIGINS: 'HTTPS://Shop.Example:443,loopback',
      TIDEMARK_TRUST_PROXY: '10.0.0.0/8, loopback',
    });
    expect(config).toMatchObject({
      databaseUrl: 'postgresql://u:p@db/x?sslmode=require',
      port: 0,
      realtimePort: 0,
      host: '::1',
      roles: ['api', 'gateway'],
      origins: ['https://shop.example', 'loopback'],
      trustProxy: ['10.0.0.0/8', 'loopback'],
    });
  });

  it('is frozen, its lists too', () => {
    const config = loadConfig({ TIDEMARK_ROLES: 'api' });
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.roles)).toBe(true);
  });

  it.each([
    ['PORT', '65536', /^PORT="65536": expected a port from 0 to 65535/],
    ['PORT', '80a', /^PORT="80a": expected a port/],
    ['PORT', '-1', /^PORT="-1": expected a port/],
    ['TIDEMARK_ROLES', 'api,writer', /^TIDEMARK_ROLES="api,writer": expected some of api, relay/],
    ['TIDEMARK_ROLES', 'api,', /expected some of/],
    ['LOG_LEVEL', 'loud', /^LOG_LEVEL="loud": expected one of trace/],
    ['HOST', 'no host', /^HOST="no host": expected a host name/],
    ['DATABASE_URL', 'mysql://root@db/x', /^DATABASE_URL: expected a URL of the form postgres:/],
    [
      'KAFKA_BROKERS',
      'a',
      /^KAFKA_BROKERS="a": expected host:port of .*; broker 1 \(a\) needs a port from 1/,
    ],
    ['KAFKA_BROKERS', 'a:9092,b:70000', /broker 2 \(b\) needs a port from 1 to 65535$/],
    ['KAFKA_BROKERS', 'a:9092,', /broker 2 is empty$/],
    ['KAFKA_BROKERS', 'a:9092,:9092', /broker 2 has no host name$/],
    ['KAFKA_BROKERS', 'SSL://a:9092', /broker 1: leave out the protocol/],
    ['KAFKA_BROKERS', '[::1]:9092', /broker 1 is an IPv6 address/],
    ['TIDEMARK_ORIGINS', 'shop.example', /^TIDEMARK_ORIGINS="shop.example": expected origins/],
    ['TIDEMARK_ORIGINS', 'https://shop.example/path', /expected origins/],
    ['TIDEMARK_HOSTS', 'a:80', /expected host names without ports/],
    ['TIDEMARK_TRUST_PROXY', 'yes please', /expected true, false/],
    ['TIDEMARK_SCHEMA', 'Robert"; DROP', /expected a schema name/],
    ['TIDEMARK_SCHEMA', 'pg_mine', /expected a schema name/],
  ])('refuses %s=%s and says what was expected', (name, value, said) => {
    expect(refusal({ [name]: value })).toMatch(said);
  });

  it('tells all faults at once, a line each', () => {
    const said = refusal({ PORT: 'x', LOG_LEVEL: 'y', TIDEMARK_ROLES: 'z' }).split('\n');
    expect(said.map((line) => line.split('=')[0]).sort()).toEqual(['LOG_LEVEL', 'PORT', 'TIDEMARK_ROLES']);
  });

  it('never shows the password of a URL', () => {
    expect(refusal({ DATABASE_URL: 'http://user:hunter2@db/x' })).not.toContain('hunter2');
  });

  it.each(['hun#ter2', '1#ter2', 'hun/ter2', '1/ter2', 'hun?ter2', '100%ter2', 'a/b@hunter2'])(
    'says what to do about the raw password %s, and does not show it',
    (password) => {
      const said = refusal({ DATABASE_URL: `postgres://user:${password}@db/x` });
      expect(said).toMatch(/^DATABASE_URL: expected a URL of the form .*; percent-encode .*# as %23/);
      expect(said).not.toContain('ter2');
    },
  );

  it.each([
    'postgres://user:%23%2F%3F%25%40@db:5432/x',
    'postgres://user:a@b@db/x',
    'postgres://db:5432/x?user=me@there&password=1',
    'postgres://db/x',
    'postgres://[::1]:5432/x',
    'postgres:///x?host=/run/postgresql',
  ])('takes %s', (url) => expect(loadConfig({ DATABASE_URL: url }).databaseUrl).toBe(url));

  it.each([
    ['b1.example:9092,b2', '"b1.example,b2"'],
    ['SASL_SSL://user:hunter2@b1:9092/x?password=hunter2', '"b1"'],
    ['user:hun,hunter2,ter@b1:9092,[::1]:9092', '"b1,[::1]"'],
  ])('shows of the brokers %s no more than their names', (brokers, shown) => {
    const said = refusal({ KAFKA_BROKERS: brokers });
    expect(said).toContain(`KAFKA_BROKERS=${shown}: expected`);
    expect(said).not.toContain('hunter2');
  });

  it('refuses one port for two servers, but not where one of them is free or does not run', () => {
    expect(refusal({ PORT: '4000', REALTIME_PORT: '4000' })).toMatch(/REALTIME_PORT.*expected another port/);
    expect(loadConfig({ PORT: '0', REALTIME_PORT: '0' }).port).toBe(0);
    expect(loadConfig({ PORT: '4000', REALTIME_PORT: '4000', TIDEMARK_ROLES: 'api' }).port).toBe(4000);
  });
});

describe('Kafka', () => {
  const KAFKA_BROKERS = 'Kafka-1.example:9092, 127.0.0.1:9093,kafka-1.example:9092';
  const SASL = {
    KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512',
    KAFKA_SASL_USERNAME: 'shop',
    KAFKA_SASL_PASSWORD: ' hun,ter2@ ',
  };

  it('is none unless brokers are named', () => expect(loadConfig({}).kafka).toBeUndefined());

  it('is read with what stands for what is left out', () => {
    expect(loadConfig({ KAFKA_BROKERS }).kafka).toEqual({
      brokers: ['kafka-1.example:9092', '127.0.0.1:9093'],
      tls: false,
      sasl: undefined,
      replication: undefined,
    });
  });

  it('is read with TLS, log-in and replication; spaces belong to a password, a line end does not', () => {
    const env = { KAFKA_BROKERS, KAFKA_TLS: 'true', KAFKA_REPLICATION: '3', ...SASL };
    const { kafka } = loadConfig({ ...env, KAFKA_SASL_PASSWORD: `${SASL.KAFKA_SASL_PASSWORD}\n` });
    expect(kafka).toMatchObject({ tls: true, replication: 3 });
    expect(kafka?.sasl).toEqual({
      mechanism: 'scram-sha-512',
      username: 'shop',
      password: ' hun,ter2@ ',
    });
    expect(Object.isFrozen(kafka) && Object.isFrozen(kafka?.sasl)).toBe(true);
  });

  it('takes authorities from a file, which must be there and hold some', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-ca-'));
    try {
      const ca = join(folder, 'ca.pem');
      const pem = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
      await writeFile(ca, pem);
      expect(loadConfig({ KAFKA_BROKERS, KAFKA_TLS: ca }).kafka?.tls).toEqual({ ca: pem });
      await writeFile(ca, 'hunter2');
      expect(refusal({ KAFKA_BROKERS, KAFKA_TLS: ca })).toMatch(/^KAFKA_TLS=.*it holds no PEM certificate$/);
      expect(refusal({ KAFKA_BROKERS, KAFKA_TLS: ca })).not.toContain('hunter2');
      expect(refusal({ KAFKA_BROKERS, KAFKA_TLS: join(folder, 'none') })).toMatch(/ENOENT/);
      expect(refusal({ KAFKA_BROKERS, KAFKA_TLS: `-----BEGIN ${'PRIVATE'} KEY-----hunter2` })).toMatch(
        /^KAFKA_TLS: expected true, .*; name the file that holds it$/,
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it.each([
    [{ KAFKA_TLS: 'true' }, /^KAFKA_BROKERS: expected host:port .*, as KAFKA_TLS is set$/],
    [SASL, /^KAFKA_BROKERS: expected host:port .*, as KAFKA_SASL_MECHANISM is set$/],
    [{ KAFKA_BROKERS, KAFKA_REPLICATION: '0' }, /^KAFKA_REPLICATION="0": expected a whole number from 1/],
    [{ KAFKA_BROKERS, KAFKA_TLS: 'yes' }, /^KAFKA_TLS="yes": expected true, false, or the path/],
    [
      { KAFKA_BROKERS, KAFKA_SASL_MECHANISM: 'gssapi' },
      /^KAFKA_SASL_MECHANISM="gssapi": expected one of plain/,
    ],
    [
      { KAFKA_BROKERS, KAFKA_SASL_MECHANISM: 'plain' },
      /^KAFKA_SASL_USERNAME: expected a user name, as KAFKA_SASL_MECHANISM is set\nKAFKA_SASL_PASSWORD: expected a password/,
    ],
    [
      { KAFKA_BROKERS, KAFKA_SASL_PASSWORD: 'hunter2', KAFKA_SASL_USERNAME: 'shop' },
      /^KAFKA_SASL_MECHANISM: expected one of plain, .*, as KAFKA_SASL_USERNAME is set$/,
    ],
  ])('refuses %j and says what belongs together', (env, said) => {
    expect(refusal(env)).toMatch(said);
    expect(refusal(env)).not.toContain('hunter2');
  });

  it('never shows a password, whatever else is wrong', () => {
    const said = refusal({ ...SASL, KAFKA_BROKERS: 'x', KAFKA_SASL_PASSWORD: 'hunter\u00002', PORT: 'x' });
    expect(said).toContain('KAFKA_SASL_PASSWORD: expected a password');
    expect(said).not.toContain('hunter');
  });
});

describe('unknownVariables', () => {
  it('finds misspelt names, and leaves others alone', () => {
    expect(
      unknownVariables({ TIDEMARK_ROLE: 'api', TIDEMARK_ROLES: 'api', PATH: '/bin', TIDEMARK_TEST_X: '' }),
    ).toEqual([{ variable: 'TIDEMARK_ROLE', nearest: 'TIDEMARK_ROLES' }]);
  });

  it('says what was most likely meant, where anything is like it', () => {
    const meant = (name: string) => unknownVariables({ [name]: 'x' })[0]?.nearest;
    expect(meant('TIDEMARK_ORIGIN')).toBe('TIDEMARK_ORIGINS');
    expect(meant('TIDEMARK_REALTIMEURL')).toBe('TIDEMARK_REALTIME_URL');
    expect(meant('TIDEMARK_HOST')).toBe('TIDEMARK_HOSTS');
    expect(meant('TIDEMARK_COLOUR_OF_THE_SEA')).toBeUndefined();
    expect(meant(`TIDEMARK_${'ORIGINS'.repeat(1_000)}`)).toBeUndefined();
  });
});

describe('describeEnvironment', () => {
  it('has a full row for every variable', () => {
    const rows = describeEnvironment();
    expect(rows.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['DATABASE_URL', 'PORT', 'TIDEMARK_ROLES']),
    );
    for (const row of rows) {
      expect(row.expected, row.name).not.toBe('undefined');
      expect(row.description, row.name).not.toBe('');
    }
    expect(rows.find(({ name }) => name === 'TIDEMARK_ROLES')?.fallback).toBe('api,relay,projector,gateway');
  });
});
