/** Each import rule of the house (DESIGN §5) is tried: what is forbidden is found, what is allowed is not. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** [file below src/, what it imports] */
type Case = readonly [string, string];

const FORBIDDEN: readonly Case[] = [
  // The domain is pure, and what server and client share is smaller still.
  ['domain/a.ts', '../platform/errors.js'],
  ['domain/a.ts', '../protocol/problems.js'],
  ['domain/a.ts', 'pg'],
  ['domain/a.ts', 'uuid'],
  ['protocol/a.ts', '../platform/errors.js'],
  ['protocol/a.ts', '../domain/app.js'],
  ['protocol/a.ts', 'zod'],
  ['protocol/a.ts', 'node:crypto'],
  ['platform/a.ts', '../domain/app.js'],
  ['platform/postgres/a.ts', '../../event-store/types.js'],
  ['platform/a.ts', '../app/config.js'],
  // Write side and read side.
  ['commands/a.ts', '../projections/types.js'],
  ['commands/a.ts', '../queries/http.js'],
  ['commands/http/a.ts', '../../realtime/ports.js'],
  ['projections/a.ts', '../commands/bus.js'],
  // Rights know neither side; both ask them.
  ['rights/a.ts', '../commands/bus.js'],
  ['rights/a.ts', '../queries/views.js'],
  ['rights/a.ts', 'jose'],
  ['rights/a.ts', 'fastify'],
  ['app/a.ts', 'jose'],
  ['projections/a.ts', '../rights/guard.js'],
  ['queries/a.ts', '../commands/bus.js'],
  ['realtime/a.ts', '../commands/bus.js'],
  ['realtime/sockets/ws/a.ts', '../../../commands/bus.js'],
  ['event-store/a.ts', '../commands/bus.js'],
  ['event-store/a.ts', '../projections/types.js'],
  // Nobody names the composition root, the command line or the kit.
  ['commands/a.ts', '../app/config.js'],
  ['realtime/a.ts', '../cli/program.js'],
  ['app/a.ts', '../cli/program.js'],
  ['app/a.ts', '../testing/index.js'],
  ['queries/a.ts', '../testing/index.js'],
  // Adapters.
  ['projections/a.ts', '../broker/postgres/feed.js'],
  ['projections/a.ts', '../broker/kafka/feed.js'],
  ['realtime/a.ts', '../broker/postgres/feed.js'],
  ['realtime/a.ts', './sockets/uws/engine.js'],
  ['realtime/sockets/a.ts', './ws/engine.js'],
  ['outbox/a.ts', '../broker/kafka/publisher.js'],
  ['inbound/a.ts', '../commands/bus.js'],
  ['inbound/a.ts', '../broker/kafka/inbound-source.js'],
  ['inbound/a.ts', 'kafkajs'],
  // Packages.
  ['commands/a.ts', 'kafkajs'],
  ['broker/postgres/a.ts', 'kafkajs'],
  ['app/a.ts', 'kafkajs'],
  ['app/a.ts', 'uWebSockets.js'],
  ['realtime/a.ts', 'uWebSockets.js'],
  ['realtime/sockets/ws/a.ts', 'uWebSockets.js'],
  ['realtime/sockets/uws/a.ts', 'ws'],
  ['commands/a.ts', 'fastify'],
  ['queries/a.ts', '@fastify/swagger'],
  ['event-store/http.ts', 'fastify'],
  ['commands/a.ts', 'pg'],
  ['realtime/a.ts', 'pg'],
  ['broker/postgres/a.ts', 'pg'],
  ['app/a.ts', 'pg'],
  ['commands/a.ts', 'kysely'],
  ['event-store/a.ts', 'kysely'],
  ['client/a.ts', 'ws'],
  ['client/a.ts', '../platform/errors.js'],
  ['client/a.ts', 'react'],
  ['app/a.ts', 'react'],
  // src/ stands on its own.
  ['commands/a.ts', '../../test/support/postgres.js'],
  ['commands/a.ts', 'tidemark'],
];

const ALLOWED: readonly Case[] = [
  ['rights/jwt/ok.ts', 'jose'],
  ['rights/http.ts', 'fastify'],
  ['commands/ok.ts', '../rights/guard.js'],
  ['queries/ok.ts', '../rights/guard.js'],
  ['realtime/ok.ts', '../rights/guard.js'],
  ['domain/ok.ts', 'zod'],
  ['domain/ok.ts', './app.js'],
  ['protocol/ok.ts', './problems.js'],
  ['platform/ok.ts', 'pg'],
  ['platform/ok.ts', 'node:fs/promises'],
  ['commands/ok.ts', '../event-store/types.js'],
  ['commands/http.ts', 'fastify'],
  ['queries/views-http.ts', 'fastify'],
  ['queries/ok.ts', 'kysely'],
  ['platform/postgres/ok.ts', 'kysely'],
  ['projections/ok.ts', 'kysely'],
  ['projections/ok.ts', '../broker/ports.js'],
  ['inbound/ok.ts', '../broker/ports.js'],
  ['broker/postgres/ok.ts', '../../projections/types.js'],
  ['realtime/sockets/uws/ok.ts', 'uWebSockets.js'],
  ['realtime/sockets/ws/ok.ts', 'ws'],
  ['broker/kafka/ok.ts', 'kafkajs'],
  ['client/react/ok.ts', 'react'],
  ['app/ok.ts', '../broker/postgres/feed.js'],
  ['app/ok.ts', 'fastify'],
  ['app/ok.ts', '../realtime/sockets/uws/engine.js'],
  ['cli/ok.ts', '../app/config.js'],
];

interface Finding {
  readonly filename: string;
  readonly message: string;
  readonly code: string;
}

let findings: readonly Finding[] = [];
let house = '';

async function lint(folder: string): Promise<readonly Finding[]> {
  const oxlint = path.join(ROOT, 'node_modules/.bin/oxlint');
  const run = promisify(execFile)(oxlint, ['-c', 'oxlint.config.js', '--format=json'], {
    cwd: folder,
    maxBuffer: 1e8,
  });
  // It ends with 1 when it finds something.
  const { stdout } = await run.catch((error: { stdout: string }) => error);
  return (JSON.parse(stdout) as { diagnostics: Finding[] }).diagnostics;
}

const flagged = ([file, imported]: Case): boolean =>
  findings.some(
    ({ filename, message, code }) =>
      code.includes('no-restricted-imports') &&
      filename === `src/${file}` &&
      message.startsWith(`'${imported}' `),
  );

beforeAll(async () => {
  house = await mkdtemp(path.join(tmpdir(), 'tidemark-house-'));
  await symlink(path.join(ROOT, 'oxlint.config.js'), path.join(house, 'oxlint.config.js'));
  await writeFile(path.join(house, 'package.json'), '{"type":"module"}');
  const files = new Map<string, string>();
  for (const [file, imported] of [...FORBIDDEN, ...ALLOWED])
    files.set(file, `${files.get(file) ?? ''}import '${imported}';\n`);
  files.set('domain/types.ts', "import type { Kysely } from 'kysely';\nexport type K = Kysely<unknown>;\n");
  files.set('domain/values.ts', "import { sql } from 'kysely';\nexport const s = sql;\n");
  for (const [file, text] of files) {
    await mkdir(path.dirname(path.join(house, 'src', file)), { recursive: true });
    await writeFile(path.join(house, 'src', file), text);
  }
  findings = await lint(house);
});
afterAll(() => rm(house, { recursive: true, force: true }));

test.each(FORBIDDEN)('%s may not import %s', (file, imported) => {
  expect(flagged([file, imported])).toBe(true);
});

test.each(ALLOWED)('%s may import %s', (file, imported) => {
  expect(flagged([file, imported])).toBe(false);
});

test('the domain may name kysely as a type, not use it', () => {
  expect(flagged(['domain/types.ts', 'kysely'])).toBe(false);
  expect(flagged(['domain/values.ts', 'kysely'])).toBe(true);
});
