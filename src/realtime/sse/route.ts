/** `GET /realtime/sse`: one subscription as a stream of server-sent events, run by the same sessions as sockets. */
import { jittered } from '../../platform/pause.js';
import type { Signer } from '../../platform/signing.js';
import type { SubFrame } from '../../protocol/frames.js';
import { changeLogName, type CursorBinding } from '../../protocol/positions.js';
import type { StreamAnswer } from '../sockets/byte-stream.js';
import type { ProblemCode } from '../../protocol/problems.js';
import type { Caller, Refusal, Socket, SocketRequest } from '../sockets/port.js';
import { problemAnswer } from './answers.js';
import type { Judge, Judged } from './judge.js';
import { Cursors, Place } from './places.js';
import { readStreamRequest } from './request.js';
import { SseSocket } from './socket.js';
import type { StreamTopics } from './topics.js';

type Headers = Readonly<Record<string, string>>;

export interface StreamsDeps {
  readonly signer: Signer;
  readonly topics: StreamTopics;
  /** When a browser comes back by itself, ms. */
  readonly retryMs: number;
  /** Whether the process takes one more, and who it would be. */
  admit(request: SocketRequest): Caller | (Refusal & { readonly code: ProblemCode });
  /** Told of everyone who is not let in. */
  refused(code: ProblemCode): void;
  readonly judge: Judge;
  open(socket: Socket, caller: Caller): void;
  message(socket: Socket, data: Uint8Array): void;
  drain(socket: Socket): void;
  close(socket: Socket, code: number): void;
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
  async answer(request: SocketRequest, headers: Headers): Promise<StreamAnswer | Refusal> {
    const found = await this.#find(request);
    if ('stream' in found) return { ...found.stream, headers: { ...HEADERS, ...headers } };
    this.#deps.refused(found.code);
    if ('detail' in found) return problemAnswer(found, headers);
    const { status, body } = found;
    return { status, body, headers: { ...found.headers, ...headers } };
  }

  async #find(request: SocketRequest) {
    const { admit, judge } = this.#deps;
    const early = admit(request);
    if ('status' in early) return early;
    const read = readStreamRequest(request.query);
    if ('code' in read) return read;
    // An empty one is what a browser has after a reset.
    const judged = await judge.judge(early, read.frame, request.lastEventId || undefined);
    if ('code' in judged) return judged;
    // While the token was looked at, others may have come.
    const caller = admit(request);
    if ('status' in caller) return caller;
    return { stream: this.#stream({ ...caller, receivesOnly: true }, judged) };
  }

  #stream(caller: Caller, { frame, wanted }: Judged): Pick<StreamAnswer, 'open'> {
    const { signer, topics, retryMs, open, message, drain, close } = this.#deps;
    const { projection, filter, from, mark } = wanted;
    const cursors = new Cursors(signer, {
      log: changeLogName(projection.name, projection.version),
      bind: bindingOf(frame, mark),
      ...(filter.kind === 'window' ? { window: filter.spec.name } : {}),
    });
    return {
      open(stream) {
        const socket = new SseSocket({
          stream,
          topics,
          cursors,
          from: from && !from.foreign ? new Place(from) : undefined,
          retryMs: Math.ceil(jittered(retryMs)),
        });
        open(socket, caller);
        message(socket, Buffer.from(JSON.stringify(frame)));
        return {
          drain: () => drain(socket),
          close() {
            socket.closed();
            close(socket, socket.code);
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
