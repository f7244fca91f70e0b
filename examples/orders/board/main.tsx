/** Begins the page: asks the server where its realtime socket is and whether it wants a token, and shows the board. */
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { Root } from './root.js';
import { findServer } from './server.js';
import { begin } from './session.js';
import './styles/index.css';

const place = document.getElementById('board');
if (!place) throw new Error('index.html has no #board');
const root = createRoot(place);

try {
  const { realtimeUrl } = await findServer();
  const begun = await begin(realtimeUrl, null);
  root.render(
    <StrictMode>
      <Root realtimeUrl={realtimeUrl} first={'refused' in begun ? undefined : begun} />
    </StrictMode>,
  );
} catch (error) {
  root.render(
    <p className="fatal" role="alert">
      The board cannot begin: {error instanceof Error ? error.message : String(error)}
    </p>,
  );
}
