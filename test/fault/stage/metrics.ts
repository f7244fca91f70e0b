/** What processes counted: counters of /metrics, summed over labels and processes. */
export type Metrics = Map<string, number>;

/** Adds the counters of one process. @param text in the format of Prometheus */
export function addMetrics(sums: Metrics, text: string): void {
  for (const line of text.split('\n')) {
    const [, name = '', value = ''] = /^tidemark_(\w+_total)(?:\{[^}]*\})? ([0-9.e+]+)/.exec(line) ?? [];
    if (name !== '') sums.set(name, (sums.get(name) ?? 0) + Number(value));
  }
}
