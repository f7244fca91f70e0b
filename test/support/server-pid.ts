/** Which process the server of an embedded Postgres is. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';

export async function serverPid(dataDir: string): Promise<number> {
  return Number((await readFile(path.join(dataDir, 'postgres/postmaster.pid'), 'utf8')).split('\n')[0]);
}
