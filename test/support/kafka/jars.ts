/** The jars of a Kafka broker: fetched once by Maven into the user's cache folder, and shared by all clones. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { NoKafka } from './errors.js';

const POM = fileURLToPath(new URL('./pom.xml', import.meta.url));
const FETCH_MS = 5 * 60_000;
// Of one version, as what Maven takes by itself may want a newer Maven one day.
const COPY = 'org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies';

const cacheRoot = (): string => process.env['XDG_CACHE_HOME'] || path.join(homedir(), '.cache');

const isThere = (place: string): Promise<boolean> =>
  access(place).then(
    () => true,
    () => false,
  );

/** What of a failed Maven a person can do something with. */
function maven(error: { readonly code?: unknown; readonly stdout?: string }): string {
  if (error.code === 'ENOENT') return 'there is no Maven here; it fetches the jars of Kafka, once';
  const line = error.stdout?.split('\n').find((each) => each.includes('[ERROR]')) ?? '';
  const causes = line
    .replace(/\[ERROR\]|-> \[Help 1\]/g, '')
    .trim()
    .split(': ');
  const why = causes.slice(-2).join(': ') || 'it said nothing';
  return `Maven could not fetch the jars of Kafka, which takes a network, once (${why})`;
}

async function fetch(folder: string): Promise<void> {
  await promisify(execFile)(
    'mvn',
    ['-q', '-B', '-Dstyle.color=never', '-f', POM, COPY, `-DoutputDirectory=${folder}`],
    {
      timeout: FETCH_MS,
    },
  ).catch((error: Error & { readonly code?: unknown; readonly stdout?: string }) => {
    throw new NoKafka(maven(error), { cause: error });
  });
}

/**
 * A folder is complete or not there at all: it is filled beside its place and moved. Two runs may do that at once.
 * @returns the folder of the jars
 * @throws NoKafka
 */
export async function kafkaJars(): Promise<string> {
  const pom = await readFile(POM);
  const root = path.join(cacheRoot(), 'tidemark');
  const folder = path.join(root, `kafka-${createHash('sha256').update(pom).digest('hex').slice(0, 12)}`);
  if (await isThere(folder)) return folder;
  await mkdir(root, { recursive: true });
  const made = await mkdtemp(path.join(root, 'fetching-'));
  try {
    await fetch(made);
    await rename(made, folder);
  } catch (error) {
    // Another run was faster; what it made is as good.
    if (!(await isThere(folder))) throw error;
  } finally {
    await rm(made, { recursive: true, force: true });
  }
  return folder;
}
