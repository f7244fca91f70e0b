/**
 * Starts services in order and stops them in the reverse order, within a budget of time. When one fails to start, those
 * before it are stopped again.
 */
import { messageOf } from '../platform/errors.js';
import { service, type Service } from '../platform/lifecycle.js';
import type { Logger } from '../platform/logger.js';
import { endedWithin } from '../platform/pause.js';

export interface Layer extends Service {
  /** Share of the time to stop, relative to the other layers; what one does not use goes to the next. 1 by default. */
  readonly stopWeight?: number;
  /** Called when `stop` did not end in its time: ends at once what it still does. */
  cut?(): void;
}

/** `stop` never rejects: what goes wrong is in the log, and the layers below are stopped all the same. */
export type Stack = Service;

export interface StackOptions {
  readonly logger: Logger;
  /** Milliseconds for all layers together. */
  readonly stopTimeoutMs: number;
}

async function stopLayer(layer: Layer, ms: number, logger: Logger): Promise<void> {
  try {
    if (await endedWithin(layer.stop(), ms)) return;
    logger.warn(
      { service: layer.name, waitedMs: Math.round(ms) },
      'did not stop in time; going on without it',
    );
    layer.cut?.();
  } catch (error) {
    logger.error({ service: layer.name, err: error }, 'did not stop in order');
  }
}

async function stopAll(started: Layer[], options: StackOptions): Promise<void> {
  const deadline = performance.now() + options.stopTimeoutMs;
  const weightOf = (layer: Layer): number => layer.stopWeight ?? 1;
  for (let layer = started.at(-1); layer; layer = started.at(-1)) {
    const left = Math.max(0, deadline - performance.now());
    const weights = started.reduce((sum, each) => sum + weightOf(each), 0);
    await stopLayer(layer, Math.max(50, (left * weightOf(layer)) / weights), options.logger);
    started.pop();
  }
}

/** @param layers in the order in which they start */
export function stackOf(name: string, layers: readonly Layer[], options: StackOptions): Stack {
  const started: Layer[] = [];
  let stopRequested = false;
  const whole = service(name, {
    async start() {
      try {
        for (const layer of layers) {
          if (stopRequested) return;
          started.push(layer);
          await layer.start();
        }
      } catch (error) {
        options.logger.error({ service: started.at(-1)?.name, reason: messageOf(error) }, 'could not start');
        await stopAll(started, options);
        throw error;
      }
    },
    stop: () => stopAll(started, options),
  });
  return {
    name,
    start: () => whole.start(),
    stop() {
      stopRequested = true;
      return whole.stop();
    },
  };
}
