/** Whether this process can serve, and how its projections stand. */
import { messageOf } from '../platform/errors.js';
import { endedWithin } from '../platform/pause.js';
import type { Database } from '../platform/postgres/database.js';
import type { ProjectionStatus } from '../projections/types.js';
import type { ProjectionRegistry } from '../projections/versions/registry.js';
import type { Role } from './config.js';
import type { ProjectionReadiness, Readiness } from './http/operations-http.js';

export type Phase = 'starting' | 'running' | 'stopping';

export interface HealthDeps {
  readonly roles: readonly Role[];
  readonly phase: () => Phase;
  /** A pool of its own: an exhausted one of a role says nothing about the database. */
  readonly database: Pick<Database, 'query'>;
  /** How the projections stand, as last heard. */
  readonly statuses: () => readonly ProjectionStatus[];
  /** What else is told: what goes wrong, and keeps this process from nothing that it answers. */
  readonly concerns?: () => readonly string[];
  /** Which of them may be read here. */
  readonly versions: Pick<ProjectionRegistry, 'refusal' | 'wasServable'>;
}

/** An answer that is later than this counts as none. */
const PATIENCE_MS = 2_000;
/** Many who ask at once get one look. */
const FRESH_MS = 250;

/** What keeps the database from answering; undefined where it does. */
async function troubleOf(database: Pick<Database, 'query'>): Promise<string | undefined> {
  try {
    if (await endedWithin(database.query('SELECT'), PATIENCE_MS)) return undefined;
    return `the database does not answer: no answer within ${PATIENCE_MS} ms`;
  } catch (error) {
    return `the database does not answer: ${reasonOf(error)}`;
  }
}

export class Health {
  readonly #deps: HealthDeps;
  #look: Promise<string | undefined> | undefined;

  constructor(deps: HealthDeps) {
    this.#deps = deps;
  }

  /** Never rejects, and answers within a few seconds whatever the database does. */
  async readiness(): Promise<Readiness> {
    const trouble = await this.#databaseTrouble();
    const { roles, phase, statuses, versions, concerns: others = () => [] } = this.#deps;
    const now = phase();
    const known = statuses();
    const blocking = [
      ...(now === 'running' ? [] : [`the process is ${now}`]),
      ...(trouble === undefined ? [] : [trouble]),
      // What could be read here once takes nobody else down when it cannot be any more.
      ...known.flatMap(({ name }) => (versions.wasServable(name) ? [] : (versions.refusal(name) ?? []))),
    ];
    const told = known.flatMap((status) => concerns(status, versions.refusal(status.name)));
    told.push(...others());
    const projections = known.map((status): [string, ProjectionReadiness] => {
      const { name, state, version, lag, progress } = status;
      return [
        name,
        {
          state,
          version,
          // What was heard before the database went away says nothing about now.
          lag: trouble === undefined ? lag : null,
          ready: versions.refusal(name) === undefined,
          ...(progress === undefined ? {} : { progress }),
        },
      ];
    });
    return {
      ready: blocking.length === 0,
      roles,
      projections: Object.fromEntries(projections),
      reasons: [...new Set([...blocking, ...told])],
    };
  }

  #databaseTrouble(): Promise<string | undefined> {
    if (!this.#look) {
      this.#look = troubleOf(this.#deps.database);
      void this.#look.then(() => setTimeout(() => (this.#look = undefined), FRESH_MS).unref());
    }
    return this.#look;
  }
}

/** Told, though the process may serve: the other views do well. */
function concerns(
  { name, version, state, reason, parkedKeys }: ProjectionStatus,
  refusal: string | undefined,
): string[] {
  const title = `projection ${name} v${version}`;
  const told: string[] = refusal === undefined ? [] : [refusal];
  if (state === 'halted' || state === 'needs_newer_code')
    told.push(`${title} ${state}${reason === undefined ? '' : `: ${reason}`}`);
  if (state === 'paused') told.push(`${title} is paused`);
  if (parkedKeys > 0) told.push(`${title}: ${parkedKeys} parked: see \`tidemark parked list\``);
  return told;
}

/** Codes and Node's own texts only: a driver's message may quote what it was about. */
function reasonOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  return code === '' ? messageOf(error).slice(0, 200) : code;
}
