/** What every benchmark prints: a table for people, and with `--json` one object as the last line. */
import { cpus } from 'node:os';

/** Figures of one window of one subject. */
export interface Sample {
  readonly perSecond: number;
  /** Of single operations, where there are any. */
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  /** CPU ms per 1,000 operations. */
  readonly processCpu: number;
  readonly postgresCpu: number | undefined;
  /** Memory of the process at its most, where it is looked at. */
  readonly peakRssMb?: number;
  /** What else is measured, by name; medians are told. */
  readonly figures?: Readonly<Record<string, number>>;
}

export interface Run {
  readonly subject: string;
  readonly params: Readonly<Record<string, string | number>>;
  readonly samples: readonly Sample[];
}

export interface Ratio {
  /** `<subject>/<peer>` and what is compared, with its params. */
  readonly name: string;
  readonly value: number;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** The value below which a share of the sorted values lies. */
export const quantile = (sorted: ArrayLike<number>, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;

const round = (value: number, digits = 2): number => Number(value.toFixed(digits));

function summary({ subject, params, samples }: Run): Record<string, unknown> {
  const of = (pick: (sample: Sample) => number | undefined): number[] =>
    samples.map(pick).filter((value) => value !== undefined);
  const rates = of(({ perSecond }) => perSecond);
  const postgres = of(({ postgresCpu }) => postgresCpu);
  const optional = (name: 'p50Ms' | 'p99Ms' | 'peakRssMb'): Record<string, number> => {
    const values = of((sample) => sample[name]);
    return values.length > 0 ? { [name]: round(median(values)) } : {};
  };
  return {
    subject,
    params,
    repeats: samples.length,
    perSecond: {
      median: round(median(rates), 0),
      min: round(Math.min(...rates), 0),
      max: round(Math.max(...rates), 0),
    },
    cpuMsPer1000: {
      process: round(median(of(({ processCpu }) => processCpu))),
      ...(postgres.length > 0 ? { postgres: round(median(postgres)) } : {}),
    },
    ...optional('p50Ms'),
    ...optional('p99Ms'),
    ...optional('peakRssMb'),
    ...figuresOf(samples),
  };
}

/** Medians of what else was measured. */
function figuresOf(samples: readonly Sample[]): Record<string, number> {
  const names = Object.keys(samples[0]?.figures ?? {});
  return Object.fromEntries(
    names.map((name) => [name, round(median(samples.map(({ figures }) => figures?.[name] ?? Number.NaN)))]),
  );
}

const showParams = (params: Run['params']): string =>
  Object.entries(params)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');

/** @param postgres version of the server, as it tells it; none where there is none */
export function report(options: {
  readonly bench: string;
  readonly postgres?: string;
  readonly runs: readonly Run[];
  readonly ratios: readonly Ratio[];
  readonly json: boolean;
}): void {
  const ratios = options.ratios.map(({ name, value }) => ({ name, value: round(value) }));
  for (const run of options.runs) {
    const rates = run.samples.map(({ perSecond }) => perSecond);
    const pick = (name: 'p50Ms' | 'p99Ms' | 'processCpu' | 'postgresCpu' | 'peakRssMb'): string =>
      median(run.samples.map((sample) => sample[name] ?? Number.NaN)).toFixed(2);
    const [{ p50Ms, peakRssMb } = {}] = run.samples;
    console.log(
      `${run.subject.padEnd(10)} ${showParams(run.params).padEnd(28)} ${median(rates).toFixed(0).padStart(7)}/s (${Math.min(...rates).toFixed(0)}–${Math.max(...rates).toFixed(0)})` +
        (p50Ms === undefined ? '' : `  p50 ${pick('p50Ms')} ms  p99 ${pick('p99Ms')} ms`) +
        `  CPU ms/1,000: process ${pick('processCpu')}` +
        (run.samples[0]?.postgresCpu === undefined ? '' : `, postgres ${pick('postgresCpu')}`) +
        (peakRssMb === undefined ? '' : `  peak ${pick('peakRssMb')} MB`) +
        Object.entries(figuresOf(run.samples))
          .map(([name, value]) => `  ${name} ${value}`)
          .join(''),
    );
  }
  for (const { name, value } of ratios) console.log(`${name}: ${value}`);
  if (!options.json) return;
  console.log(
    JSON.stringify({
      bench: options.bench,
      at: new Date().toISOString(),
      machine: {
        cores: cpus().length,
        node: process.versions.node,
        ...(options.postgres === undefined ? {} : { postgres: options.postgres }),
      },
      runs: options.runs.map(summary),
      ratios,
    }),
  );
}
