/** A page for tests of the hooks: what is on it is said by the test, through `window.stage`. */
import { createElement as h, startTransition, StrictMode, useState, type ReactNode } from 'react';
import { createRoot, hydrateRoot, type Root } from 'react-dom/client';
import { createClient } from 'tidemark/client';
import type app from '../../../examples/orders/app.js';
import { Asking, Orders, TidemarkProvider, Wall, type Row } from './parts.js';

const { realtime } = await (await fetch('/tidemark.json')).json();
const client = createClient<typeof app>({
  realtimeUrl: `ws://${location.hostname}:${realtime.port}/realtime`,
  shareTabs: false,
  // Long enough for a test that comes back at once, on a machine that others use too.
  lingerMs: 5_000,
});
const place = document.body.appendChild(document.createElement('div'));
/** Of the wall: rounds in which its parts showed different moments, and how often it was committed. */
const seen = { torn: [] as string[], commits: 0 };
let root: Root | undefined;

const inClient = (child: ReactNode): ReactNode =>
  h(StrictMode, {}, h(TidemarkProvider, { client, children: child }));

function look(): void {
  seen.commits++;
  const texts = new Set([...document.querySelectorAll('[data-slow]')].map(({ textContent }) => textContent));
  if (texts.size > 1) seen.torn.push([...texts].join(' | '));
}

function Rounds() {
  const [round, setRound] = useState(0);
  stage.turn = () => startTransition(() => setRound((before) => before + 1));
  return h(Wall, { round, look });
}

const PARTS: Readonly<Record<string, () => ReactNode>> = {
  nothing: () => null,
  one: () => h(Orders, { name: 'one' }),
  two: () => [h(Orders, { key: 1, name: 'one' }), h(Orders, { key: 2, name: 'two' })],
  wall: () => h(Rounds),
  asking: () => h(Asking),
};

const stage = {
  seen,
  turn: (): void => undefined,
  renew: (): void => client.renew(),
  show(name: string): void {
    root ??= createRoot(place);
    root.render(inClient(PARTS[name]?.()));
  },
  /** Takes over what a server rendered; resolves with what React complained about. */
  hydrate(html: string, initial: readonly Row[]): string[] {
    const complaints: string[] = [];
    place.innerHTML = html;
    root = hydrateRoot(
      place,
      h(TidemarkProvider, { client, children: h(Orders, { name: 'one', initial }) }),
      {
        onRecoverableError: (error) => complaints.push(String(error)),
      },
    );
    return complaints;
  },
};
Object.assign(window, { stage });
document.body.dataset['ready'] = 'yes';
