/**
 * The `relay` role where there is no Kafka: nothing to do, which is no reason to end (whoever starts processes would start
 * it again and again). One that does nothing else says so.
 */
import { service } from '../../platform/lifecycle.js';
import type { Context, RoleLayer } from '../context.js';

const WHY = 'the relay has nothing to do, as KAFKA_BROKERS is not set';

export function createIdleRelay({ config, logger }: Pick<Context, 'config' | 'logger'>): RoleLayer {
  const alone = config.roles.length === 1;
  const life = service('relay', {
    start() {
      logger[alone ? 'warn' : 'debug'](WHY);
      return Promise.resolve();
    },
    stop: () => Promise.resolve(),
  });
  return { ...life, name: 'relay', concerns: () => (alone ? [WHY] : []) };
}
