/** Metrics of one runtime, in a registry of its own: several runtimes in one process (tests) do not mix. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Seconds; from a socket frame to a read that waits for its projection. */
const DURATIONS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Makes metrics named `tidemark_…` in one registry. */
export class MetricsRegistry {
  readonly #registry = new Registry();

  constructor() {
    // CPU, memory, file handles, garbage collection, event-loop lag.
    collectDefaultMetrics({ register: this.#registry });
  }

  counter<L extends string = never>(name: string, help: string, labelNames: readonly L[] = []): Counter<L> {
    return new Counter({ ...this.#named(name, help), labelNames });
  }

  /** @param collect sets the gauge when the metrics are asked for */
  gauge<L extends string = never>(
    name: string,
    help: string,
    labelNames: readonly L[] = [],
    collect?: (gauge: Gauge<L>) => void | Promise<void>,
  ): Gauge<L> {
    const settings = { ...this.#named(name, help), labelNames };
    if (!collect) return new Gauge(settings);
    return new Gauge({
      ...settings,
      collect() {
        return collect(this);
      },
    });
  }

  seconds<L extends string = never>(name: string, help: string, labelNames: readonly L[] = []): Histogram<L> {
    return new Histogram({ ...this.#named(name, help), labelNames, buckets: DURATIONS });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All metrics in the text format of Prometheus. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #named(name: string, help: string) {
    return { name: `tidemark_${name}`, help, registers: [this.#registry] };
  }
}
