/** `tidemark projections list` for people: a table, and below each version what is the matter with it. */
import type { VersionReport } from '../../projections/operations/types.js';
import { progressText } from '../progress.js';
import { amount, size, table, wrapped, type Column } from '../words.js';

const COLUMNS: readonly Column[] = [
  { title: 'PROJECTION' },
  { title: 'STATE' },
  { title: 'LAG', right: true },
  { title: 'PARKED', right: true },
  { title: 'STOPS', right: true },
  { title: 'READY' },
  { title: 'PROCESSES', right: true },
  { title: 'VIEW' },
  { title: 'SIZE', right: true },
];

function cellsOf(report: VersionReport): string[] {
  const retired = report.state === 'retired';
  return [
    `${report.name} v${report.version}`,
    report.state,
    retired ? '-' : amount(report.lag),
    amount(report.parkedKeys),
    amount(report.stops.length),
    report.ready ? 'yes' : 'no',
    amount(report.processes),
    report.inView ? 'yes' : 'no',
    report.bytes === null ? '-' : size(report.bytes),
  ];
}

/** What the columns cannot say, a text each. */
function notesOf(report: VersionReport): string[] {
  const { state, reason, stops, progress, parkedKeys, ready, acceptParked, projectors, name } = report;
  const stands = stops.map(({ source, shard, kind, reason: why }) => `${source}/${shard} ${kind}: ${why}`);
  return [
    // How fast it was says nothing once nobody works at it.
    ...(state === 'building' && progress
      ? [progressText(projectors === 0 ? { ...progress, perSecond: 0 } : progress)]
      : []),
    ...stands,
    // A state's reason is that of its first stop, where there is one.
    ...(reason !== null && !stops.some((stop) => stop.reason === reason) ? [reason] : []),
    ...(parkedKeys > 0 && !ready && !acceptParked
      ? [`not ready while keys are parked: see tidemark parked list ${name}`]
      : []),
    ...(state !== 'retired' && state !== 'paused' && projectors === 0
      ? ['no process with the role projector runs it']
      : []),
  ];
}

/** @param width columns of the terminal */
export function listText(reports: readonly VersionReport[], width: number): string {
  if (reports.length === 0) return 'no projections yet';
  const { heading, rows } = table(COLUMNS, reports.map(cellsOf), width);
  const lines = reports.flatMap((report, at) => [
    ...(rows[at] ?? []),
    ...notesOf(report).flatMap((note) => wrapped(note, width, '    ')),
  ]);
  return [heading, ...lines].join('\n');
}
