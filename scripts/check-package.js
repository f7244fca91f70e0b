/**
 * Checks what would be published: builds, asks publint, packs, and uses the package from a project of its own, compiled
 * under both ways of module resolution. The project of docs/your-own-project.md is made of that page, and used as the page
 * says. Nothing is fetched: the projects borrow the installed packages.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { giveUp, prepare, ROOT } from './prepare.js';

const bin = (name) => path.join(ROOT, 'node_modules/.bin', name);

function step(name, command, args, cwd = ROOT) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  if (status !== 0) giveUp(`${name} failed:\n${stdout}${stderr}`);
  console.log(`ok ${name}`);
  return stdout;
}

/** Packages that a project gets when it installs tidemark without development packages. */
function productionPackages() {
  const list = execFileSync('npm', ['ls', '--omit=dev', '--all', '--parseable'], {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const top = path.join(ROOT, 'node_modules') + path.sep;
  const names = list
    .split('\n')
    .filter((line) => line.startsWith(top))
    .map((line) => line.slice(top.length))
    .filter((name) => !name.includes(`node_modules${path.sep}`));
  return names;
}

function link(project, name) {
  const target = path.join(project, 'node_modules', name);
  mkdirSync(path.dirname(target), { recursive: true });
  symlinkSync(path.join(ROOT, 'node_modules', name), target);
}

/** What a project brings of its own: types for Node, and React where it has a page. */
const THEIRS = [
  '@types/node',
  'undici-types',
  'react',
  'react-dom',
  'scheduler',
  '@types/react',
  '@types/react-dom',
  'csstype',
];
const FILES = ['consumer.ts', 'page.ts'];

/** What the guide has its reader install beside. */
const OF_THE_GUIDE = ['typescript', 'tsx', 'vite', '@vitejs/plugin-react'];

function makeProject(folder, tarball, others) {
  const place = path.join(folder, 'node_modules/tidemark');
  mkdirSync(place, { recursive: true });
  execFileSync('tar', ['-xzf', tarball, '-C', place, '--strip-components=1']);
  for (const name of new Set([...productionPackages(), ...THEIRS, ...others])) link(folder, name);
  writeFileSync(
    path.join(folder, 'package.json'),
    JSON.stringify({ name: 'consumer', type: 'module', private: true }),
  );
}

function compile(folder, name, module, moduleResolution) {
  const compilerOptions = {
    module,
    moduleResolution,
    target: 'ES2023',
    lib: ['ES2023'],
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    // Our own declarations are checked too: what they name must be among the production packages.
    skipLibCheck: false,
    outDir: `out-${name}`,
    rootDir: '.',
  };
  const file = path.join(folder, `tsconfig.${name}.json`);
  writeFileSync(file, JSON.stringify({ compilerOptions, files: FILES }));
  const { stdout } = spawnSync(bin('tsc'), ['-p', file, '--pretty', 'false'], {
    cwd: folder,
    encoding: 'utf8',
  });
  // Declarations of other packages are not ours to mend.
  const ours = stdout
    .split('\n')
    .filter((line) => /^(consumer\.ts|page\.ts|node_modules\/tidemark\/)/.test(line));
  if (ours.length > 0) giveUp(`types under ${moduleResolution} failed:\n${ours.join('\n')}`);
  console.log(`ok types under ${moduleResolution}`);
}

/** Writes the files that the guide shows, each of which begins with its name. */
function writeGuide(folder) {
  const guide = readFileSync(path.join(ROOT, 'docs/your-own-project.md'), 'utf8');
  for (const [, text = ''] of guide.matchAll(/^```\w+\n((?:\/\/|<!--) [\s\S]*?)^```$/gm)) {
    const [, name = ''] = /^(?:\/\/|<!--) (\S+)/.exec(text) ?? [];
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), text);
  }
}

/** The line that says where it listens; undefined when the program ends before. */
async function untilReady(program) {
  let written = '';
  for await (const chunk of program.stdout) {
    written += String(chunk);
    const line = written.split('\n').find((one) => one.includes('"msg":"ready"'));
    if (line !== undefined) return JSON.parse(line);
  }
  return undefined;
}

/** Starts what the guide built, asks for its page and what that asks for, and stops it. */
async function startGuide(folder) {
  const args = ['node_modules/tidemark/bin/tidemark.js', 'start', 'dist/app.js', '--page', 'dist/page'];
  const env = { ...process.env, PORT: '0', REALTIME_PORT: '0' };
  const program = spawn(process.execPath, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => program.once('exit', resolve));
  const ready = await untilReady(program);
  if (!ready) giveUp(`the guide’s application ended before it was ready: ${await ended}`);
  program.stdout.resume();
  const page = await (await fetch(ready.page)).text();
  const [, script = ''] = /<script [^>]*src="([^"]+)"/.exec(page) ?? [];
  const statuses = [];
  for (const place of [script, '/tidemark.json', '/readyz'])
    statuses.push((await fetch(new URL(place, ready.page))).status);
  const counting = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"by":2}' };
  const counted = await fetch(new URL('/commands/visit/home/count', ready.page), counting);
  program.kill('SIGINT');
  const code = await ended;
  if (script === '' || [...statuses, counted.status].some((status) => status !== 200) || code !== 0)
    giveUp(`the guide’s application: ${script} ${statuses} ${counted.status}, exit code ${code}`);
  console.log('ok guide: start');
}

/** Every message counts, suggestions too. */
async function askPublint() {
  const { publint } = await import('publint');
  const { formatMessage } = await import('publint/utils');
  const { messages, pkg } = await publint({ pkgDir: ROOT, strict: true, pack: 'npm' });
  if (messages.length > 0)
    giveUp(`publint: ${messages.map((message) => formatMessage(message, pkg)).join('\n')}`);
  console.log('ok publint');
}

await prepare();
step('build', 'npm', ['run', '--silent', 'build']);
await askPublint();
const folder = mkdtempSync(path.join(tmpdir(), 'tidemark-package-'));
// Also when a check gives up.
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
step('pack', 'npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder]);
const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'));
makeProject(folder, path.join(folder, tarball), []);
for (const name of FILES) cpSync(path.join(ROOT, 'test/package', name), path.join(folder, name));
compile(folder, 'nodenext', 'NodeNext', 'NodeNext');
compile(folder, 'bundler', 'ESNext', 'Bundler');
step('use', process.execPath, ['out-nodenext/consumer.js'], folder);
step('use in a page', process.execPath, ['out-nodenext/page.js'], folder);
step('command', process.execPath, ['node_modules/tidemark/bin/tidemark.js', '--version'], folder);
step(
  'command start --help',
  process.execPath,
  ['node_modules/tidemark/bin/tidemark.js', 'start', '--help'],
  folder,
);

const guide = path.join(folder, 'guide');
makeProject(guide, path.join(folder, tarball), OF_THE_GUIDE);
writeGuide(guide);
step('guide: types', bin('tsc'), ['--noEmit'], guide);
step('guide: types of the page', bin('tsc'), ['-p', 'page'], guide);
step('guide: tests', bin('tsx'), ['--test', 'src/app.test.ts'], guide);
step('guide: build', bin('tsc'), [], guide);
step('guide: build of the page', bin('vite'), ['build', 'page'], guide);
await startGuide(guide);
