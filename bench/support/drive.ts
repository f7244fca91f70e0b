/** Closed-loop load: some writers, each with one operation in flight, for a span of time. */
import { postgresCpuMs, processCpuMs } from './cpu.js';
import { quantile, type Sample } from './report.js';

export interface DriveOptions {
  readonly writers: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
  readonly postmaster: number | undefined;
  /** One operation; rejects only when the benchmark is to fail. */
  operation(writer: number): Promise<void>;
}

export async function drive(options: DriveOptions): Promise<Sample> {
  const { writers, warmUpMs, measureMs, postmaster, operation } = options;
  const postgres = (): number | undefined =>
    postmaster === undefined ? undefined : postgresCpuMs(postmaster);
  const latencies: number[] = [];
  const begin = performance.now();
  const from = begin + warmUpMs;
  const until = from + measureMs;
  let started:
    { readonly at: number; readonly process: number; readonly postgres: number | undefined } | undefined;
  const write = async (writer: number): Promise<void> => {
    for (let sent = performance.now(); sent < until;) {
      await operation(writer);
      const done = performance.now();
      if (done >= from) {
        started ??= { at: done, process: processCpuMs(), postgres: postgres() };
        latencies.push(done - sent);
      }
      sent = done;
    }
  };
  await Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)));
  if (started === undefined) throw new Error('no operation ended in the span that is measured');
  const seconds = (performance.now() - started.at) / 1000;
  const thousands = latencies.length / 1000;
  const after = postgres();
  const sorted = Float64Array.from(latencies).sort();
  return {
    perSecond: latencies.length / seconds,
    p50Ms: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
    processCpu: (processCpuMs() - started.process) / thousands,
    postgresCpu:
      after === undefined || started.postgres === undefined
        ? undefined
        : (after - started.postgres) / thousands,
  };
}
