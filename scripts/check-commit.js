/**
 * Looks through all that is committed for what has no place there: where packages were fetched from, paths of the
 * machine it was written on, keys and tokens.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { giveUp, ROOT } from './prepare.js';

const RULES = [
  // Every clone fetches from its own registry.
  { what: 'a "resolved" address', pattern: /"resolved": *"https?:/, only: /package-lock\.json$/ },
  {
    what: 'a registry address',
    pattern: /^ *(@[\w-]+:)?registry *=|_authToken|_password *=/m,
    only: /(^|\/)\.npmrc$/,
  },
  {
    what: 'a path of this machine',
    pattern: /(^|["'`\s(=])\/(root|home\/[a-z]\w*|Users\/[a-z]\w*|work)\/[\w.-]/im,
  },
  { what: 'a private key', pattern: /-----BEGIN [A-Z ]*PRIVATE KEY-----/ },
  {
    what: 'a token',
    pattern: /\b(gh[pousr]_[A-Za-z0-9]{30,}|npm_[A-Za-z0-9]{36}|AKIA[0-9A-Z]{16}|xox[abp]-[\w-]{20,})\b/,
  },
];

const files = execFileSync('git', ['ls-files', '-z'], { cwd: ROOT, encoding: 'utf8' })
  .split('\0')
  .filter(Boolean);
const found = [];
for (const file of files) {
  const place = path.join(ROOT, file);
  if (file === 'scripts/check-commit.js' || !statSync(place, { throwIfNoEntry: false })?.isFile()) continue;
  const text = readFileSync(place, 'utf8');
  for (const { what, pattern, only } of RULES) {
    if (only && !only.test(file)) continue;
    const match = pattern.exec(text);
    if (match)
      found.push(
        `${file}:${text.slice(0, match.index).split('\n').length}: ${what}: ${match[0].trim().slice(0, 60)}`,
      );
  }
}
if (found.length > 0) giveUp(found.join('\n'));
console.log(`${files.length} files, nothing private`);
