/** `tidemark parked list|show` for people. */
import type { EventName, ParkedDetails, ParkedReport } from '../../projections/operations/types.js';
import { amount, count, shown, table, wrapped, type Column } from '../words.js';

const COLUMNS: readonly Column[] = [
  { title: 'KEY' },
  { title: 'PROJECTION' },
  { title: 'WAITING', right: true },
  { title: 'PARKED AT' },
];

const shownKey = ({ part, key }: Pick<ParkedReport, 'part' | 'key'>): string =>
  part === '' ? shown(key) : `${part}: ${shown(key)}`;
const eventText = ({ source, type, streamId, shard, seq }: EventName): string =>
  `${source}.${type} (stream ${shown(streamId)}, shard ${shard} seq ${seq})`;

/** @param total how many are parked; `items` may be the first of them only */
export function parkedListText(items: readonly ParkedReport[], total: number, width: number): string {
  if (items.length === 0) return 'nothing is parked';
  const cells = items.map((one) => [
    shownKey(one),
    `${one.projection} v${one.version}`,
    amount(one.queued),
    one.parkedAt,
  ]);
  const { heading, rows } = table(COLUMNS, cells, width);
  const lines = items.flatMap((one, at) => [
    ...(rows[at] ?? []),
    ...wrapped(`${eventText(one.event)}: ${one.error}`, width, '    '),
  ]);
  const more = total > items.length ? [`and ${amount(total - items.length)} more: see --limit`] : [];
  return [heading, ...lines, ...more].join('\n');
}

export function parkedText(one: ParkedDetails, width: number): string {
  const { projection, version, event, error, attempts, parkedAt, queued, events, skipped, together } = one;
  const left = queued - events.length;
  return [
    `${projection} v${version}, ${shownKey(one)}: parked at ${parkedAt}`,
    ...wrapped(`at fault: ${eventText(event)}`, width, '  '),
    ...wrapped(`error: ${error}`, width, '  '),
    `  tried: ${count(attempts, 'time')}`,
    `  waiting: ${count(queued, 'event')}`,
    ...events.map(
      ({ type, source, shard, seq, streamId, streamVersion, recordedAt }) =>
        `    ${recordedAt}  ${source}.${type}  ${shown(streamId)} version ${streamVersion}  ${shard}:${seq}`,
    ),
    ...(left > 0 && events.length > 0 ? [`    and ${amount(left)} more`] : []),
    ...skipped.flatMap(({ skippedAt, why, ...rest }) =>
      wrapped(`skipped: ${eventText(rest)} at ${skippedAt}: ${why}`, width, '  '),
    ),
    ...(together.length > 0
      ? wrapped(`together: with ${together.map(shownKey).join(', ')}`, width, '  ')
      : []),
  ].join('\n');
}
