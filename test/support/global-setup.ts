/** Starts the one Postgres server of a test run and hands its URL to the workers; nothing is left behind. */
import type { TestProject } from 'vitest/node';
import { startTemporaryPostgres } from '../../src/app/embedded/temporary.js';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Of a role that may create databases. */
    postgresUrl: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env['TIDEMARK_TEST_DATABASE_URL'];
  if (given) {
    project.provide('postgresUrl', given);
    return async () => undefined;
  }
  const server = await startTemporaryPostgres();
  project.provide('postgresUrl', server.url);
  return () => server.stop();
}
