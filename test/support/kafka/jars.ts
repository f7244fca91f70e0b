/** The jars of a Kafka broker: fetched once by Maven into the user's cache folder, and shared by all clones. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const POM = fileURLToPath(new URL('./pom.xml', import.meta.url));
const FETCH_MS = 5 * 60_000;

/** No Java or no Maven on this machine, or Maven could not fetch; the message says which. */
export class NoKafka extends Error {}

async function works(command: string, args: readonly string[]): Promise<boolean> {
  try {
    await run(command, [...args], { timeout: 30_000 });
    return true;
  } catch {
    return false;
  }
}

const cacheRoot = (): string => process.env['XDG_CACHE_HOME'] || path.join(homedir(), '.cache');

/**
 * @returns the folder of the jars
 * @throws NoKafka
 */
export async function kafkaJars(): Promise<string> {
  if (!(await works('java', ['-version'])))
    throw new NoKafka('there is no Java (17 or newer) on this machine');
  const pom = await readFile(POM);
  const name = `kafka-${createHash('sha256').update(pom).digest('hex').slice(0, 12)}`;
  const root = path.join(cacheRoot(), 'tidemark');
  const folder = path.join(root, name);
  const there = await access(folder).then(
    () => true,
    () => false,
  );
  if (there) return folder;
  if (!(await works('mvn', ['-version']))) throw new NoKafka('there is no Maven on this machine');
  await mkdir(root, { recursive: true });
  const made = await mkdtemp(path.join(root, 'fetching-'));
  try {
    const args = ['-q', '-B', '-f', POM, 'dependency:copy-dependencies', `-DoutputDirectory=${made}`];
    await run('mvn', args, { timeout: FETCH_MS }).catch((cause: unknown) => {
      throw new NoKafka('Maven could not fetch the jars of Kafka', { cause });
    });
    // Another run may have been faster; what it made is as good.
    await rename(made, folder).catch(async (error: unknown) => {
      await access(folder).catch(() => {
        throw error;
      });
    });
    return folder;
  } finally {
    await rm(made, { recursive: true, force: true });
  }
}
