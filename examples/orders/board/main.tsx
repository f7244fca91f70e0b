/** Begins the page: asks the server where its realtime socket is, and shows the board. */
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { createClient } from 'tidemark/client';
import type app from '../app.js';
import { Board } from './board.js';
import { findServer } from './server.js';
import './styles/index.css';
import { TidemarkProvider } from './tidemark.js';

const place = document.getElementById('board');
if (!place) throw new Error('index.html has no #board');
const root = createRoot(place);

try {
  const { realtimeUrl } = await findServer();
  const client = createClient<typeof app>({
    realtimeUrl,
    // Each tab has a connection of its own here, so that one can be cut while another goes on.
    shareTabs: false,
    backoff: { minMs: 200, maxMs: 1_000 },
  });
  root.render(
    <StrictMode>
      <TidemarkProvider client={client}>
        <Board />
      </TidemarkProvider>
    </StrictMode>,
  );
} catch (error) {
  root.render(
    <p className="fatal" role="alert">
      The board cannot begin: {error instanceof Error ? error.message : String(error)}
    </p>,
  );
}
