/** Links between documents lead somewhere: the file is there, and so is the heading. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const documents = execFileSync('git', ['ls-files', '*.md'], { cwd: ROOT, encoding: 'utf8' })
  .split('\n')
  .filter((file) => file !== '' && existsSync(path.join(ROOT, file)));

/** What stands in code is no link. */
const prose = (file: string): string =>
  readFileSync(path.join(ROOT, file), 'utf8')
    .replaceAll(/^```.*?^```/gms, '')
    .replaceAll(/`[^`\n]*`/g, (code) => 'x'.repeat(code.length));

/** As GitHub names them (https://docs.github.com/get-started/writing-on-github, "Section links"). */
function anchorsOf(file: string): Set<string> {
  const anchors = new Set<string>();
  const text = readFileSync(path.join(ROOT, file), 'utf8').replaceAll(/^```.*?^```/gms, '');
  for (const [, heading = ''] of text.matchAll(/^#{1,6} +(.*)$/gm)) {
    const base = heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-');
    let anchor = base;
    for (let n = 1; anchors.has(anchor); n++) anchor = `${base}-${n}`;
    anchors.add(anchor);
  }
  return anchors;
}

const links = documents.flatMap((file) =>
  [...prose(file).matchAll(/\]\(<?([^)\s>]+)>?\)/g)]
    .map(([, target = '']) => ({ file, target }))
    .filter(({ target }) => !/^[a-z]+:/.test(target)),
);

test('the scan sees links', () => {
  expect(links).toEqual(
    expect.arrayContaining([{ file: 'README.md', target: 'docs/concepts.md' }]) as typeof links,
  );
});

test('every relative link resolves', () => {
  const broken = links.filter(({ file, target }) => {
    const [place = '', anchor] = target.split('#');
    const linked = place === '' ? file : path.join(path.dirname(file), decodeURI(place));
    if (!existsSync(path.join(ROOT, linked))) return true;
    return anchor !== undefined && !(linked.endsWith('.md') && anchorsOf(linked).has(anchor));
  });
  expect(broken).toEqual([]);
});
