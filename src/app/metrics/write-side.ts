/** What is measured of HTTP and commands. */
import type { CommandBusStats, CommandObserver } from '../../commands/observer.js';
import type { EventStoreObserver } from '../../event-store/observer.js';
import type { HttpAnswer } from '../http/server.js';
import type { MetricsRegistry } from './registry.js';

export function httpMetrics(registry: MetricsRegistry): (answer: HttpAnswer) => void {
  const seconds = registry.seconds('http_request_seconds', 'Time from request to answer.', [
    'method',
    'route',
    'status',
  ]);
  return ({ method, route, status, seconds: value }) => seconds.observe({ method, route, status }, value);
}

export function commandMetrics(registry: MetricsRegistry): CommandObserver {
  const commands = registry.counter('commands_total', 'Commands by outcome.', [
    'aggregate',
    'command',
    'outcome',
  ]);
  const seconds = registry.seconds('command_seconds', 'Time from admission to answer.', ['aggregate']);
  const waited = registry.seconds('command_wait_seconds', 'Time behind other commands of the stream.', [
    'aggregate',
  ]);
  const events = registry.counter('events_appended_total', 'Events written by commands.', ['aggregate']);
  const conflicts = registry.counter('command_conflicts_total', 'Decisions that others overtook.', [
    'aggregate',
  ]);
  const loads = registry.counter('aggregate_loads_total', 'States wanted, by where they came from.', [
    'aggregate',
    'from',
  ]);
  const folded = registry.counter('aggregate_events_folded_total', 'Events read to fold states.', [
    'aggregate',
  ]);
  const snapshots = registry.counter('aggregate_snapshots_total', 'Snapshots by result.', [
    'aggregate',
    'result',
  ]);
  return {
    finished({ aggregate, command, outcome, milliseconds, waitedMs, events: written }) {
      commands.inc({ aggregate, command, outcome });
      seconds.observe({ aggregate }, milliseconds / 1_000);
      waited.observe({ aggregate }, waitedMs / 1_000);
      if (written > 0 && outcome === 'appended') events.inc({ aggregate }, written);
    },
    conflict: (aggregate) => conflicts.inc({ aggregate }),
    loaded({ aggregate, from, events: count }) {
      loads.inc({ aggregate, from });
      folded.inc({ aggregate }, count);
    },
    snapshot: (aggregate, result) => snapshots.inc({ aggregate, result }),
  };
}

export function appendMetrics(registry: MetricsRegistry): EventStoreObserver {
  const seconds = registry.seconds('append_batch_seconds', 'Time of a group commit.');
  const requests = registry.counter('appends_total', 'Appends in group commits.');
  return {
    batch({ requests: count, milliseconds }) {
      seconds.observe(milliseconds / 1_000);
      requests.inc(count);
    },
  };
}

/** Gauges of what stands in the command bus when the metrics are asked for. */
export function commandGauges(registry: MetricsRegistry, stats: () => CommandBusStats): void {
  const gauge = (name: string, help: string, value: keyof CommandBusStats): void => {
    registry.gauge(name, help, [], (one) => one.set(stats()[value]));
  };
  gauge('commands_in_flight', 'Commands waiting or running.', 'inFlight');
  gauge('commands_waiting', 'Commands waiting behind another of their stream.', 'waiting');
  gauge('commands_in_flight_bytes', 'Bytes of the payloads in flight.', 'inFlightBytes');
  gauge('aggregate_cache_states', 'States in the cache.', 'cachedAggregates');
  gauge('aggregate_cache_bytes', 'Bytes of the states in the cache, estimated.', 'cachedBytes');
}
