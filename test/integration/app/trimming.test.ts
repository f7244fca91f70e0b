/** A running application looks after its change logs, and its metrics say how they lie on disk. */
import { testApp } from 'tidemark/testing';
import { expect, onTestFinished, test, vi } from 'vitest';
import orders from '../../../examples/orders/app.js';

test('the projector role looks at the change logs', async () => {
  const app = await testApp(orders);
  onTestFinished(() => app.close());
  await vi.waitFor(
    async () => {
      const text = await (await fetch(`${app.urls.http}/metrics`)).text();
      for (const { name, version } of orders.views) {
        const label = `{log="${name}.v${version}"}`;
        expect(text).toContain(`tidemark_change_log_slots${label} 1`);
        expect(text).toContain(`tidemark_change_log_low${label} 0`);
        expect(text).toMatch(new RegExp(`tidemark_change_log_bytes\\{log="${name}.v${version}"\\} [1-9]`));
      }
    },
    { timeout: 60_000, interval: 100 },
  );
});
