/** `GET /realtime/sse`: one subscription as a stream of server-sent events, run by the same sessions as sockets. */
import { jittered } from '../../platform/pause.js';
import type { Signer } from '../../platform/signing.js';
import type { SubFrame } from '../../protocol/frames.js';
import { changeLogName, type CursorBinding } from '../../protocol/positions.js';
import type { Hub } from '../hub.js';
import type { StreamAnswer } from '../sockets/byte-stream.js';
import type { Caller, Refusal, SocketRequest } from '../sockets/port.js';
import { problemAnswer } from './answers.js';
import type { Judge, Judged } from './judge.js';
import { Cursors, Place } from './places.js';
import { readStreamRequest, type StreamFault } from './request.js';
import { SseSocket } from './socket.js';
import type { StreamTopics } from './topics.js';

export interface StreamsDeps {
  readonly signer: Signer;
  readonly judge: Judge;
  readonly topics: StreamTopics;
  readonly hub: Pick<Hub, 'open' | 'message' | 'drain' | 'close'>;
  /** When a browser comes back by itself, ms. */
  readonly retryMs: number;
  /** Whether the process takes one more, and who it would be. */
  admit(request: SocketRequest): Caller | Refusal;
}

const HEADERS = {
  'content-type': 'text/event-stream',
  // A proxy shall neither keep nor collect nor compress it (the last one is nginx's).
  'cache-control': 'no-store, no-transform',
  'x-accel-buffering': 'no',
  'x-content-type-options': 'nosniff',
  connection: 'close',
} as const;

export class Streams {
  readonly #deps: StreamsDeps;

  constructor(deps: StreamsDeps) {
    this.#deps = deps;
  }

  /** @param headers of CORS, for every answer */
  async answer(
    request: SocketRequest,
    headers: Readonly<Record<string, string>>,
  ): Promise<StreamAnswer | Refusal> {
    const refuse = (fault: StreamFault): Refusal => problemAnswer(fault, headers);
    const { admit, judge } = this.#deps;
    const turnedAway = (refusal: Refusal): Refusal => ({
      ...refusal,
      headers: { ...refusal.headers, ...headers },
    });
    const early = admit(request);
    if ('status' in early) return turnedAway(early);
    const read = readStreamRequest(request.query);
    if ('code' in read) return refuse(read);
    // An empty one is what a browser has after a reset.
    const judged = await judge.judge(early, read.frame, request.lastEventId || undefined);
    if ('code' in judged) return refuse(judged);
    // While the token was looked at, others may have come.
    const caller = admit(request);
    if ('status' in caller) return turnedAway(caller);
    return this.#stream(caller, judged, headers);
  }

  #stream(caller: Caller, judged: Judged, headers: Readonly<Record<string, string>>): StreamAnswer {
    const { signer, topics, hub, retryMs } = this.#deps;
    const { frame, wanted } = judged;
    const { projection, from, mark } = wanted;
    const bind = bindingOf(frame, mark);
    const cursors = new Cursors(signer, changeLogName(projection.name, projection.version), bind);
    return {
      headers: { ...HEADERS, ...headers },
      open(stream) {
        const socket = new SseSocket({
          stream,
          topics,
          cursors,
          from: from && !from.foreign ? new Place(from) : undefined,
          retryMs: Math.ceil(jittered(retryMs)),
        });
        hub.open(socket, caller);
        hub.message(socket, Buffer.from(JSON.stringify(frame)), false);
        return {
          drain: () => hub.drain(socket),
          close() {
            socket.closed();
            hub.close(socket, socket.code);
          },
        };
      },
    };
  }
}

const bindingOf = ({ view, key, where }: SubFrame, mark: string): CursorBinding => ({
  view,
  ...(key === undefined ? {} : { key }),
  ...(where === undefined ? {} : { where }),
  ...(mark === '' ? {} : { scope: mark }),
});
