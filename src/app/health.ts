/** Whether this process can serve, and how its projections stand. */
import { messageOf } from '../platform/errors.js';
import type { ProjectionStatus } from '../projections/types.js';
import type { Role } from './config.js';
import type { ProjectionReadiness, Readiness } from './http/operations-http.js';

export type Phase = 'starting' | 'running' | 'stopping';

export interface HealthDeps {
  readonly roles: readonly Role[];
  readonly phase: () => Phase;
  /** How the projections stand. Asks Postgres; that it rejects means that the database cannot be used. */
  readonly projections: () => Promise<readonly ProjectionStatus[]>;
  /** What else keeps this process from serving. */
  readonly troubles?: () => readonly string[];
}

interface Look {
  /** Why this process cannot serve. */
  readonly blocking: readonly string[];
  /** What stands still, though the process can serve. */
  readonly told: readonly string[];
  readonly projections: Readonly<Record<string, ProjectionReadiness>>;
}

/** An answer that is later than this counts as none. */
const PATIENCE_MS = 2_000;
/** Many who ask at once get one look. */
const FRESH_MS = 250;

async function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${PATIENCE_MS} ms`)), PATIENCE_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

export class Health {
  readonly #deps: HealthDeps;
  #known = new Map<string, ProjectionReadiness>();
  #look: Promise<Look> | undefined;

  constructor(deps: HealthDeps) {
    this.#deps = deps;
  }

  /** Never rejects, and answers within a few seconds whatever the database does. */
  async readiness(): Promise<Readiness> {
    const { blocking, told, projections } = await this.#freshLook();
    const { roles, phase, troubles } = this.#deps;
    const now = phase();
    const own = [...(now === 'running' ? [] : [`the process is ${now}`]), ...(troubles?.() ?? [])];
    const reasons = [...own, ...blocking, ...told];
    return { ready: own.length + blocking.length === 0, roles, projections, reasons };
  }

  #freshLook(): Promise<Look> {
    if (!this.#look) {
      this.#look = this.#lookAtDatabase();
      void this.#look.then(() => setTimeout(() => (this.#look = undefined), FRESH_MS).unref());
    }
    return this.#look;
  }

  async #lookAtDatabase(): Promise<Look> {
    try {
      const statuses = await inTime(this.#deps.projections());
      this.#known = new Map(statuses.map(({ name, version, state, lag }) => [name, { state, version, lag }]));
      return {
        blocking: [],
        told: statuses.flatMap(standstill),
        projections: Object.fromEntries(this.#known),
      };
    } catch (error) {
      const known = [...this.#known].map(([name, one]) => [name, { ...one, lag: null }]);
      const blocking = [`the database does not answer: ${reasonOf(error)}`];
      return { blocking, told: [], projections: Object.fromEntries(known) };
    }
  }
}

function standstill({ name, version, state, reason }: ProjectionStatus): string[] {
  if (state !== 'halted' && state !== 'needs_newer_code') return [];
  return [`projection ${name} v${version} ${state}${reason === undefined ? '' : `: ${reason}`}`];
}

/** Codes and Node's own texts only: a driver's message may quote what it was about. */
function reasonOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  return code === '' ? messageOf(error).slice(0, 200) : code;
}
