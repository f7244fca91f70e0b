/** What is measured of the gateway. */
import type { GatewayObserver, SocketState } from '../../realtime/ports.js';
import type { MetricsRegistry } from './registry.js';

const STATES: readonly SocketState[] = ['open', 'waiting', 'slow'];

export function gatewayMetrics(registry: MetricsRegistry): GatewayObserver {
  return { ...socketMetrics(registry), ...accessMetrics(registry), ...deliveryMetrics(registry) };
}

function accessMetrics(registry: MetricsRegistry): GatewayObserver {
  const refused = registry.counter('sockets_refused_total', 'Sockets not let in, by code.', ['code']);
  const failures = registry.counter(
    'socket_auth_failures_total',
    'Tokens on sockets that were not accepted, or could not be looked at.',
    ['reason'],
  );
  const dropped = registry.counter('subscriptions_dropped_total', 'Subscriptions that lost their right.', [
    'view',
    'reason',
  ]);
  return {
    refused: (code) => refused.inc({ code }),
    authFailed: (reason) => failures.inc({ reason }),
    dropped: (view, reason) => dropped.inc({ view, reason }),
  };
}

function socketMetrics(registry: MetricsRegistry): GatewayObserver {
  const sockets = registry.gauge('sockets', 'Sockets open now.');
  const states = registry.gauge(
    'sockets_by_state',
    'Sockets: `open`, `waiting` for a token that is accepted, or `slow` to read.',
    ['state'],
  );
  for (const state of STATES) states.set({ state }, 0);
  const closed = registry.counter('sockets_closed_total', 'Sockets closed, by close code.', ['code']);
  const subscriptions = registry.gauge('subscriptions', 'Subscriptions now.', ['view']);
  const framesIn = registry.counter('frames_in_total', 'Frames from clients.');
  const framesOut = registry.counter(
    'frames_out_total',
    'Frames to clients, one per socket that it went to.',
  );
  const bytesOut = registry.counter('frames_out_bytes_total', 'Bytes of the frames to clients.');
  const slow = registry.counter('slow_consumers_total', 'Sockets that read too slowly.', ['what']);
  const errors = registry.counter('socket_errors_total', 'Error frames, by code.', ['code']);
  return {
    socketMoved(from, to) {
      if (from) states.dec({ state: from });
      else sockets.inc();
      if (to) states.inc({ state: to });
      else sockets.dec();
    },
    socketClosed: (code) => closed.inc({ code }),
    subscribed: (view) => subscriptions.inc({ view }),
    unsubscribed: (view) => subscriptions.dec({ view }),
    framesIn: (count) => framesIn.inc(count),
    framesOut(count, bytes) {
      framesOut.inc(count);
      bytesOut.inc(count * bytes);
    },
    slowConsumer: (what) => slow.inc({ what }),
    failed: (code) => errors.inc({ code }),
  };
}

function deliveryMetrics(registry: MetricsRegistry): GatewayObserver {
  const replays = registry.counter('replays_total', 'Subscriptions that got what they missed.', ['view']);
  const replayed = registry.counter('replayed_changes_total', 'Changes of those replays.', ['view']);
  const snapshots = registry.seconds('snapshot_read_seconds', 'Time to read a snapshot.', ['view']);
  const rows = registry.counter('snapshot_rows_total', 'Rows of the snapshots read.', ['view']);
  const backfilled = registry.counter('backfilled_changes_total', 'Changes read again from Postgres.', [
    'view',
  ]);
  const windows = registry.gauge('windows', 'Windows (sort, limit) that are open now.', ['view']);
  const resets = registry.counter('resets_total', 'Subscriptions begun anew, by reason.', ['view', 'reason']);
  return {
    replayed(view, changes) {
      replays.inc({ view });
      replayed.inc({ view }, changes);
    },
    snapshotRead(view, count, seconds) {
      snapshots.observe({ view }, seconds);
      rows.inc({ view }, count);
    },
    windows: (view, by) => windows.inc({ view }, by),
    backfilled: (view, changes) => backfilled.inc({ view }, changes),
    reset: (view, reason) => resets.inc({ view, reason }),
  };
}
