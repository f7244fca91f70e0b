/** Both socket engines keep the contract. */
import { describe, expect, it } from 'vitest';
import { uwsEngine } from '../../src/realtime/sockets/uws/engine.js';
import { loadUws } from '../../src/realtime/sockets/uws/load.js';
import { wsEngine } from '../../src/realtime/sockets/ws/engine.js';
import { socketContract } from './sockets.js';
import { streamContract } from './streams.js';

const uws = loadUws();

describe('socket engine ws', () => {
  describe('sockets', () => socketContract(wsEngine));
  describe('streams', () => streamContract(wsEngine));
});

// On any other Node the registry's package has no binary, and the loader must say so.
describe.runIf(uws.library)('socket engine uws', () => {
  if (!uws.library) return;
  const engine = uwsEngine(uws.library);
  describe('sockets', () => socketContract(engine));
  describe('streams', () => streamContract(engine));
});

it('loads uWebSockets.js where it has a binary, and says why where not', () => {
  if (process.versions.modules === '115') expect(uws.library).toBeDefined();
  else expect(uws).toMatchObject({ library: undefined, reason: expect.stringMatching(/uWebSockets/) });
});
