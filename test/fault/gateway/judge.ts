/**
 * What must hold for every subscriber after every fault: it saw each change of its channel exactly once and in order (one that a
 * later change of the same row overtook may be left out), and its rows are those of the view. What it should have seen is worked out
 * from the change log by what DESIGN says of filters, not by what the gateway does.
 */
import type { AnyApp } from '../../../src/domain/app.js';
import type { AnyProjection } from '../../../src/domain/projection.js';
import type { Database } from '../../../src/platform/postgres/database.js';
import { readHeads } from '../../../src/platform/postgres/logs.js';
import { readChanges } from '../../../src/projections/change-log.js';
import { changeLogName } from '../../../src/protocol/positions.js';
import { digestOf } from './fleet/digest.js';
import type { Applied, Heads, Watched, WatcherReport } from './fleet/messages.js';

const PAGE = 1_000;

type Row = Readonly<Record<string, unknown>>;

/** A change with the row before it and after it; null where there is none. */
export interface Entry {
  readonly shard: number;
  readonly seq: number;
  readonly key: string;
  readonly before: Row | null;
  readonly after: Row | null;
}

const logOf = ({ name, version }: AnyProjection): string => changeLogName(name, version);

/** Heads of the change logs of all views, as they are now. */
export async function headsOf(db: Database, app: AnyApp): Promise<Heads> {
  const heads = await readHeads(db, { events: [], changes: app.views.map(logOf) });
  return Object.fromEntries(
    app.views.map((view) => {
      const of = Array.from({ length: app.shards }, () => 0);
      for (const { log, shard, head } of heads) if (log === logOf(view)) of[shard] = head;
      return [view.name, of];
    }),
  );
}

/** The whole change log of a view, shard by shard, each change with its row before. */
async function historyOf(db: Database, app: AnyApp, view: AnyProjection): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  for (let shard = 0; shard < app.shards; shard++) {
    const rows = new Map<string, Row | null>();
    for (let after = 0; ;) {
      const page = await readChanges(db, logOf(view), shard, after, PAGE);
      if (page.kind === 'trimmed') throw new Error(`${logOf(view)}/${shard} was trimmed up to ${page.low}`);
      const last = page.entries.at(-1);
      if (!last) break;
      for (const { seq, key, row } of page.entries) {
        const now = row === null ? null : (JSON.parse(row) as Row);
        entries.push({ shard, seq, key, before: rows.get(key) ?? null, after: now });
        rows.set(key, now);
      }
      after = last.seq;
    }
  }
  return entries;
}

/** Rows that somebody may see: those of the customer of that name; `staff` and who has no token, where there are no rights, all. */
function scopeOf(token: string | undefined): Row {
  const [who] = token?.split('/') ?? [];
  return who === undefined || who === 'staff' ? {} : { customerId: who };
}

/** The row is one that is watched, and may be. */
function isIn({ key, where, token }: Watched, rowKey: string, row: Row | null): boolean {
  if (row === null || (key !== undefined && rowKey !== key)) return false;
  const wanted = Object.entries({ ...where, ...scopeOf(token) });
  return wanted.every(([field, value]) => row[field] === value);
}

/** Changes that concern who watches: what it should see of each. */
function concerning(watched: Watched, history: readonly Entry[]): Applied[] {
  return history.flatMap(({ shard, seq, key, before, after }): Applied[] => {
    const isThere = isIn(watched, key, after);
    return isThere || isIn(watched, key, before) ? [[shard, seq, key, isThere ? 0 : 1]] : [];
  });
}

export interface Finding {
  readonly faults: readonly string[];
  readonly seen: number;
  readonly lost: number;
  readonly repeated: number;
  /** Overtaken by a later change of the same row, and left out. */
  readonly overtaken: number;
}

function byShard(applied: readonly Applied[]): Map<number, Applied[]> {
  const shards = new Map<number, Applied[]>();
  for (const one of applied) {
    const of = shards.get(one[0]);
    if (of) of.push(one);
    else shards.set(one[0], [one]);
  }
  return shards;
}

const show = ([shard, rev, key, gone]: Applied): string => `${shard}/${rev} ${key}${gone ? ' gone' : ''}`;

/** What was seen of a shard against what should have been. */
function compareShard(seen: readonly Applied[], should: readonly Applied[]): Finding {
  const faults: string[] = [];
  const revs = new Map(seen.map((one) => [one[1], one]));
  const repeated = seen.length - revs.size;
  if (repeated > 0) faults.push(`${repeated} changes came again`);
  const wrong = seen.findIndex(([, rev], index) => index > 0 && rev <= (seen[index - 1]?.[1] ?? 0));
  if (wrong > 0)
    faults.push(
      `out of order: ${seen
        .slice(wrong - 1, wrong + 1)
        .map(show)
        .join(', ')}`,
    );
  const latest = new Map<string, number>();
  for (const [, rev, key] of seen) latest.set(key, rev);
  let lost = 0;
  let overtaken = 0;
  for (const one of should) {
    const [, rev, key, gone] = one;
    const found = revs.get(rev);
    revs.delete(rev);
    if (found && found[2] === key && found[3] === gone) continue;
    if (found) faults.push(`saw ${show(found)} instead of ${show(one)}`);
    else if ((latest.get(key) ?? 0) > rev) overtaken++;
    else {
      lost++;
      faults.push(`did not see ${show(one)}`);
    }
  }
  for (const one of revs.values()) faults.push(`saw ${show(one)}, which is not its own`);
  return { faults, seen: seen.length, lost, repeated, overtaken };
}

/** One subscriber against the history of its view. */
export function judgeWatcher(report: WatcherReport, history: readonly Entry[]): Finding {
  const { watched, applied, liveAt } = report;
  const should = concerning(watched, history);
  const faults: string[] = [...report.faults];
  const live = new Map(liveAt);
  const seenBy = byShard(applied);
  const shouldBy = byShard(should);
  const sum = { seen: 0, lost: 0, repeated: 0, overtaken: 0 };
  for (const shard of new Set([...seenBy.keys(), ...shouldBy.keys()])) {
    const seen = seenBy.get(shard) ?? [];
    // What its snapshot held is not told again; what a replay brought it before it was live, it saw.
    const from = Math.min(seen[0]?.[1] ?? Infinity, (live.get(shard) ?? 0) + 1);
    const found = compareShard(
      seen,
      (shouldBy.get(shard) ?? []).filter(([, rev]) => rev >= from),
    );
    faults.push(...found.faults);
    sum.seen += found.seen;
    sum.lost += found.lost;
    sum.repeated += found.repeated;
    sum.overtaken += found.overtaken;
  }
  const rows = new Map<string, string>();
  for (const { key, seq, after } of history)
    if (after !== null && isIn(watched, key, after)) rows.set(key, `${seq} ${digestOf(after)}`);
    else rows.delete(key);
  const own = new Map(report.rows.map(([key, rev, digest]) => [key, `${rev} ${digest}`]));
  for (const [key, row] of rows)
    if (own.get(key) !== row) faults.push(`row ${key} is ${own.get(key) ?? 'not there'}, should be ${row}`);
  for (const key of own.keys()) if (!rows.has(key)) faults.push(`row ${key} should not be there`);
  const who = JSON.stringify(watched);
  return { ...sum, faults: faults.map((fault) => `${who}: ${fault}`) };
}

/** All subscribers. */
export async function judgeWatchers(
  db: Database,
  app: AnyApp,
  reports: readonly WatcherReport[],
): Promise<Finding> {
  const histories = new Map<string, readonly Entry[]>();
  for (const view of app.views) histories.set(view.name, await historyOf(db, app, view));
  const findings = reports.map((report) => judgeWatcher(report, histories.get(report.watched.view) ?? []));
  const total = (pick: (finding: Finding) => number): number =>
    findings.reduce((sum, finding) => sum + pick(finding), 0);
  return {
    faults: findings.flatMap(({ faults }) => faults),
    seen: total(({ seen }) => seen),
    lost: total(({ lost }) => lost),
    repeated: total(({ repeated }) => repeated),
    overtaken: total(({ overtaken }) => overtaken),
  };
}
