/** How much memory processes have while a scenario plays; only where /proc is. */
import { readFileSync } from 'node:fs';
import type { Cast } from './cast.js';

const EVERY_MS = 100;
const MIB = 1024 * 1024;

/** Resident bytes; undefined where they are not told, or the process is gone. */
function residentBytes(pid: number): number | undefined {
  try {
    const [, kib] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return kib === undefined ? undefined : Number(kib) * 1024;
  } catch {
    return undefined;
  }
}

/** Looks at all processes of a role, ten times a second. */
export class MemoryWatch {
  readonly #cast: Cast;
  readonly #role: string;
  readonly #timer: NodeJS.Timeout;
  /** The most that a process had when it was calm; also of one that takes its place. */
  #calm = 0;
  #peak = 0;
  #most = 0;

  constructor(cast: Cast, role: string) {
    this.#cast = cast;
    this.#role = role;
    this.#timer = setInterval(() => this.#look(), EVERY_MS);
  }

  /** From here on counts what is more than now. */
  calm(): void {
    this.#most = 0;
    this.#look();
    this.#calm = this.#most;
  }

  /** The most that a process had, MB. */
  get peakMb(): number {
    return Math.round(this.#peak / MIB);
  }

  /** The most that a process had more than when it was calm, MB. */
  get growthMb(): number {
    return Math.round((this.#most - this.#calm) / MIB);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    for (const { pid } of this.#cast.of(this.#role)) {
      const bytes = pid === undefined ? undefined : residentBytes(pid);
      if (bytes === undefined) continue;
      this.#peak = Math.max(this.#peak, bytes);
      this.#most = Math.max(this.#most, bytes);
    }
  }
}
