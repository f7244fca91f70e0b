/** compose.yaml and Dockerfile fit the code: variables it knows, hosts that containers can reach, ports that it listens on. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { describeEnvironment, loadConfig, ROLES } from '../../../src/app/config.js';

const source = (file: string): string => readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8');

const Service = z.object({
  environment: z.record(z.string(), z.union([z.string(), z.number()]).transform(String)),
  ports: z.array(z.string()).default([]),
  depends_on: z.record(z.string(), z.unknown()).default({}),
  healthcheck: z.object({ test: z.array(z.string()) }),
  command: z.array(z.string()).optional(),
  stop_grace_period: z.string().optional(),
});

/** As compose does, for the forms that the file uses. */
function interpolated(text: string, env: Readonly<Record<string, string | undefined>>): string {
  return text.replaceAll(/\$\{(\w+):([-?])([^}]*)\}/g, (_all, name: string, kind: string, rest: string) => {
    const value = env[name] ?? (kind === '-' ? rest : undefined);
    if (value === undefined) throw new Error(`${name}: ${rest}`);
    return value;
  });
}

const SECRETS = { POSTGRES_PASSWORD: 'planted', ORDERS_JWT_SECRET: 'planted too' };
const text = source('compose.yaml');
const file = z
  .object({ services: z.record(z.string(), Service) })
  .parse(parse(interpolated(text, SECRETS), { merge: true }));
const services = Object.entries(file.services);
const ours = services.filter(([, { environment }]) => 'TIDEMARK_ROLES' in environment);
const known = describeEnvironment().map(({ name }) => name);

describe('compose.yaml', () => {
  it('has every role in a service of its own', () => {
    expect(ours.map(([, { environment }]) => environment['TIDEMARK_ROLES'])).toEqual([...ROLES]);
  });

  it.each(Object.keys(SECRETS))('does not start without %s, and holds none', (name) => {
    expect(() => interpolated(text, { ...SECRETS, [name]: undefined })).toThrow(`${name}: set it`);
    expect(text).not.toMatch(new RegExp(`${name}: +[^ $]`));
  });

  it.each(ours)('%s: its variables are known and right', (name, { environment, ...service }) => {
    const { ORDERS_JWT_SECRET: secret, ...own } = environment;
    // Of the application that runs there, which begins with rights only.
    expect(secret).toBe('planted too');
    expect(known).toEqual(expect.arrayContaining(Object.keys(own)));
    const config = loadConfig(environment);
    // Reached by other containers and through published ports.
    expect(config.host).toBe('0.0.0.0');
    expect(config.hosts).toEqual(expect.arrayContaining([name, 'localhost']));
    expect(service.healthcheck.test.join(' ')).toContain(`http://127.0.0.1:${config.port}/readyz`);
    expect(Number.parseInt(service.stop_grace_period ?? '', 10) * 1_000).toBeGreaterThan(
      config.stopTimeoutMs,
    );
    expect(Object.keys(service.depends_on)).toEqual(['postgres', 'kafka']);
    const listening: Record<string, number> = { api: config.port, gateway: config.realtimePort };
    const port = listening[name];
    expect(service.ports).toEqual(port === undefined ? [] : [`127.0.0.1:${port}:${port}`]);
  });

  it.each(ours)('%s: finds Postgres and Kafka where they are', (_name, { environment }) => {
    const { postgres, kafka } = file.services;
    const url = new URL(loadConfig(environment).databaseUrl ?? '');
    expect([url.hostname, url.username, url.password, url.pathname.slice(1)]).toEqual([
      'postgres',
      postgres?.environment['POSTGRES_USER'],
      postgres?.environment['POSTGRES_PASSWORD'],
      postgres?.environment['POSTGRES_DB'],
    ]);
    expect(kafka?.environment['KAFKA_ADVERTISED_LISTENERS']).toContain(
      `INSIDE://${environment['KAFKA_BROKERS']}`,
    );
  });

  it('publishes ports on this machine alone, Kafka under the name that it tells', () => {
    const published = services.flatMap(([, { ports }]) => ports);
    expect(published.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
    expect(new Set(published).size).toBe(published.length);
    const [, advertised] =
      /OUTSIDE:\/\/localhost:(\d+)/.exec(
        file.services['kafka']?.environment['KAFKA_ADVERTISED_LISTENERS'] ?? '',
      ) ?? [];
    expect(file.services['kafka']?.ports).toEqual([`127.0.0.1:${advertised}:${advertised}`]);
  });
});

describe('Dockerfile', () => {
  const lines = source('Dockerfile').split('\n');
  const all = (instruction: string): string[] =>
    lines.flatMap((line) => (line.startsWith(`${instruction} `) ? [line.slice(instruction.length + 1)] : []));

  it('runs the Node that the package wants, not as root', () => {
    expect(all('FROM').map((image) => image.split(' ')[0])).toEqual(Array(3).fill('node:20-slim'));
    expect(all('USER')).toEqual(['node']);
    expect(JSON.parse(all('ENTRYPOINT')[0] ?? '')[0]).toBe('node');
  });

  it('has what its programs are started with: an application, and the board where HTTP is', () => {
    const copied = all('COPY').map((line) => line.split(' ').at(-1));
    const { command = [] } = file.services['api'] ?? {};
    expect(command).toEqual([...JSON.parse(all('CMD')[0] ?? ''), '--page', 'page']);
    expect(copied).toEqual(expect.arrayContaining(['app', 'page', 'app/token.js']));
    expect(ours.flatMap(([name, service]) => (service.command ? [name] : []))).toEqual(['api']);
  });

  it('sets variables that are known, and exposes the ports that are listened on', () => {
    const set = Object.fromEntries(
      all('ENV').flatMap((line) => line.split(' ').map((pair) => pair.split('='))),
    );
    const { NODE_ENV, ...own } = set;
    expect(NODE_ENV).toBe('production');
    expect(known).toEqual(expect.arrayContaining(Object.keys(own)));
    const { host, port, realtimePort } = loadConfig(own);
    expect(host).toBe('0.0.0.0');
    expect(all('EXPOSE')).toEqual([`${port} ${realtimePort}`]);
  });
});
