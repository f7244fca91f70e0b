/** The orders example in a process of its own, with the roles and the Postgres that the environment gives it. */
import orders from '../../examples/orders/app.js';
import { loadConfig } from '../../src/app/config.js';
import { createRuntime } from '../../src/app/runtime.js';
import { silentLogger } from '../../src/platform/logger.js';
import type { OpenSubject } from './subject.js';

/** `KINDS` customers are watched, by as many clients each. */
export const openApp: OpenSubject = async (env) => {
  const runtime = createRuntime(orders, loadConfig(env), { logger: silentLogger });
  await runtime.start();
  const { realtime } = runtime.urls;
  const port = realtime === undefined ? 0 : Number(new URL(realtime).port);
  return {
    greeting: {
      port,
      path: '/realtime',
      protocol: 'tidemark.v1',
      sends: [
        {
          after: null,
          text: JSON.stringify({ t: 'sub', id: 's', view: 'order_summary', where: { customerId: 'c-%' } }),
        },
      ],
      readyAfter: '{"t":"live"',
      resumes: true,
    },
    publish() {
      throw new Error('its changes come from commands');
    },
  };
};
