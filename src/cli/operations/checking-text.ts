/** What a verification and a comparison of versions found, for people. */
import type { VersionDiff } from '../../projections/verify/diff.js';
import type { Difference, Verification } from '../../projections/verify/verify.js';
import { amount, count, duration, shown, wrapped } from '../words.js';

const absent = (value: string | undefined): string => value ?? 'absent';

/** What is the matter with one row, a text each. */
function differenceTexts(one: Difference): string[] {
  const key = shown(one.key);
  switch (one.kind) {
    case 'wrong':
      return one.columns.map(
        ({ column, expected, actual }) =>
          `wrong       ${key} ${column}: expected ${absent(expected)}, it is ${absent(actual)}`,
      );
    case 'missing':
      return [`missing     ${key}: expected ${one.expected}`];
    case 'extra':
      return [`extra       ${key}: its events make no row, there is ${one.actual}`];
    case 'change':
      return [`change log  ${key}: ${one.reason}`];
    case 'unfoldable':
      return [`unfoldable  ${key}: ${one.error}`];
  }
}

const KINDS: Readonly<Record<Difference['kind'], string>> = {
  wrong: 'wrong',
  missing: 'missing',
  extra: 'extra',
  change: 'not as the change log has it',
  unfoldable: 'not foldable by this code',
};

function listOf({ total, keys }: { readonly total: number; readonly keys: readonly string[] }): string {
  const left = total - keys.length;
  return `${keys.map(shown).join(', ')}${left > 0 ? ` and ${amount(left)} more` : ''}`;
}

export function verificationText(found: Verification, width: number): string {
  const { projection, version, mode, seed, compared, events, totals, differences, listed, tookMs } = found;
  const { parked, skipped, complete, trimmed } = found;
  const of = { keys: 'the keys named', all: 'all rows', sample: `a sample, seed ${seed}` }[mode];
  const kinds = Object.entries(KINDS).flatMap(([kind, title]) => {
    const n = totals[kind as Difference['kind']];
    return n > 0 ? [`${amount(n)} ${title}`] : [];
  });
  const unlisted = differences - listed.length;
  return [
    `${projection} v${version}: ${count(compared, 'row')} compared with a fold of ${count(events, 'event')} in ${duration(tookMs)} (${of})`,
    differences === 0 ? '  no difference' : `  ${count(differences, 'difference')}: ${kinds.join(', ')}`,
    ...listed.flatMap(differenceTexts).flatMap((text) => wrapped(text, width, '    ')),
    ...(unlisted > 0 ? [`    and ${amount(unlisted)} more`] : []),
    ...(parked.total > 0
      ? wrapped(`parked, so compared without the events that wait: ${listOf(parked)}`, width, '  ')
      : []),
    ...(skipped.total > 0
      ? wrapped(`compared without the events that were skipped: ${listOf(skipped)}`, width, '  ')
      : []),
    ...(trimmed > 0
      ? [
          `  the change log no longer has ${count(trimmed, 'row')} (trimmed, or built anew): only their values were compared`,
        ]
      : []),
    ...(complete ? [] : ['  the time was over before all was compared']),
  ].join('\n');
}

function behindText({ positions, versions }: VersionDiff): string {
  const sum = (side: 0 | 1): number => positions.reduce((total, { seqs }) => total + (seqs[side] ?? 0), 0);
  const [first, second] = [sum(0), sum(1)];
  return `not as of the same events (v${versions[0]} has ${amount(first)} in, v${versions[1]} ${amount(second)}): what differs may be a lag`;
}

export function diffText(diff: VersionDiff, width: number): string {
  const { projection, versions, rows, samePosition, columns, differing, firstOnly, secondOnly } = diff;
  const [first, second] = versions.map((version) => `v${version}`);
  const byColumn = Object.entries(differing.byColumn).map(([name, n]) => `${name} in ${amount(n)}`);
  const only = (where: string | undefined, { total, keys }: VersionDiff['firstOnly']): string[] =>
    total > 0
      ? wrapped(`${count(total, 'row')} only in ${where}: ${listOf({ total, keys })}`, width, '  ')
      : [];
  const same = differing.total + firstOnly.total + secondOnly.total === 0;
  return [
    `${projection}: ${first} has ${count(rows[0], 'row')}, ${second} has ${count(rows[1], 'row')}`,
    ...(samePosition ? [] : wrapped(behindText(diff), width, '  ')),
    ...(columns.firstOnly.length > 0 ? [`  columns only in ${first}: ${columns.firstOnly.join(', ')}`] : []),
    ...(columns.secondOnly.length > 0
      ? [`  columns only in ${second}: ${columns.secondOnly.join(', ')}`]
      : []),
    ...(same ? ['  no difference in the columns that both have'] : []),
    ...only(first, firstOnly),
    ...only(second, secondOnly),
    ...(differing.total > 0
      ? wrapped(
          `${count(differing.total, 'row')} in both, with other values: ${byColumn.join(', ')}`,
          width,
          '  ',
        )
      : []),
    ...differing.listed.flatMap(({ key, columns: pairs }) =>
      pairs.flatMap(({ column, first: a, second: b }) =>
        wrapped(`${shown(key)} ${column}: ${first} ${a}, ${second} ${b}`, width, '    '),
      ),
    ),
    ...(differing.total > differing.listed.length
      ? [`    and ${count(differing.total - differing.listed.length, 'row')} more`]
      : []),
  ].join('\n');
}
