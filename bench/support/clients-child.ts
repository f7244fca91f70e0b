/** A process of clients: opens as many sockets as it is told to, and tells what came. */
import type { ServerFrame } from '../../src/protocol/frames.js';
import type { FromClients, Greeting, ToClients } from './clients.js';
import { RawSocket, type RawSocketHandlers } from './raw-socket.js';

/** Opened at the same time, when there is no hurry. */
const AT_ONCE = 200;
/** A connection that was refused is tried again after so long, ms. */
const AGAIN_MS = 50;
/** What came is told after so long at the latest, ms. */
const FLUSH_MS = 10;

const tell = (message: FromClients): void => void process.send?.(message);

interface Client {
  readonly index: number;
  readonly greeting: Greeting;
  readonly kind: number;
  socket: RawSocket | undefined;
  ready: boolean;
  position: { readonly epoch: string; readonly pos: unknown } | undefined;
}

const clients: Client[] = [];
let opening: Client[] = [];
let waiting = 0;
let frames = 0;
let toldFrames = 0;
let every = 0;
let lastAt = 0n;

function flush(): void {
  if (frames === toldFrames) return;
  toldFrames = frames;
  tell({ t: 'frames', frames, at: lastAt });
}

function textOf({ kind, greeting, position }: Client, text: string): string {
  const own = text.replaceAll('%', String(kind));
  if (!greeting.resumes || !position) return own;
  return JSON.stringify({ ...(JSON.parse(own) as object), from: position });
}

function becameReady(client: Client): void {
  if (client.ready) return;
  client.ready = true;
  waiting--;
  if (waiting === 0) tell({ t: 'ready', at: process.hrtime.bigint() });
  else openNext();
}

const handlersOf = (client: Client): RawSocketHandlers => ({
  opened(socket) {
    for (const { after, text } of client.greeting.sends)
      if (after === null) socket.send(textOf(client, text));
    if (client.greeting.readyAfter === '') becameReady(client);
  },
  counted(count) {
    frames += count;
    lastAt = process.hrtime.bigint();
    if (every > 0 && frames - toldFrames >= every) flush();
  },
  text(socket, text) {
    const { greeting } = client;
    for (const send of greeting.sends)
      if (send.after !== null && text.startsWith(send.after)) socket.send(textOf(client, send.text));
    if (greeting.readyAfter === '' || !text.startsWith(greeting.readyAfter)) return;
    if (greeting.resumes) {
      const frame = JSON.parse(text) as ServerFrame; // what readyAfter names
      if (frame.t === 'live') client.position = { epoch: frame.epoch, pos: frame.pos };
    }
    becameReady(client);
  },
  closed(socket) {
    if (client.socket !== socket) return;
    // Refused, or cut before it was ready.
    if (!client.ready) setTimeout(() => open(client), AGAIN_MS);
  },
});

function open(client: Client): void {
  client.socket = new RawSocket(client.index, client.greeting, handlersOf(client));
}

function openNext(): void {
  const next = opening.shift();
  if (next) open(next);
}

function handle(message: ToClients): void {
  switch (message.t) {
    case 'open': {
      const { greeting, from, count, kinds } = message;
      const added = Array.from({ length: count }, (_, n): Client => {
        const index = from + n;
        return { index, greeting, kind: index % kinds, socket: undefined, ready: false, position: undefined };
      });
      clients.push(...added);
      waiting += count;
      opening = added;
      for (let n = 0; n < AT_ONCE; n++) openNext();
      return;
    }
    case 'return':
      waiting = clients.length;
      for (const client of clients) {
        const { socket } = client;
        client.socket = undefined;
        client.ready = false;
        socket?.destroy();
        open(client);
      }
      return;
    case 'count':
      ({ every } = message);
      frames = 0;
      toldFrames = 0;
  }
}

process.on('message', handle);
setInterval(() => {
  if (every > 0) flush();
}, FLUSH_MS).unref();
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
