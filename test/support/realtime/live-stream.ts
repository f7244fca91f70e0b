/** A stream of server-sent events, checked against the contract as its frames come; it comes back as a browser does. */
import type { ServerFrame } from '../../../src/protocol/frames.js';
import { EventClient, type OpenOptions } from './event-client.js';
import { LiveView, route, type Subscribe } from './live-view.js';

/** What a stream is asked for. */
export type Asked = Omit<Subscribe, 'id'>;

export function streamUrl(port: number, asked: Asked & { readonly from?: string }): string {
  const query = Object.entries(asked).map(([name, value]): [string, string] => [
    name,
    typeof value === 'object' ? JSON.stringify(value) : String(value),
  ]);
  return `http://127.0.0.1:${port}/realtime/sse?${new URLSearchParams(query).toString()}`;
}

export class LiveStream {
  readonly view: LiveView;
  readonly frames: ServerFrame[] = [];
  client: EventClient;
  readonly #asked: Asked;
  readonly #options: OpenOptions;
  /** The first breach of the contract, thrown by whoever waits. */
  #broken: unknown;
  #taken = 0;

  private constructor(client: EventClient, view: LiveView, asked: Asked, options: OpenOptions) {
    this.client = client;
    this.view = view;
    this.#asked = asked;
    this.#options = options;
  }

  static async open(port: number, asked: Asked, options: OpenOptions = {}): Promise<LiveStream> {
    const view = new LiveView({ id: 's', ...asked });
    view.subscribe();
    return new LiveStream(await EventClient.open(streamUrl(port, asked), options), view, asked, options);
  }

  static async live(port: number, asked: Asked, options: OpenOptions = {}): Promise<LiveStream> {
    const stream = await LiveStream.open(port, asked, options);
    await stream.isLive();
    return stream;
  }

  isLive(): Promise<void> {
    return this.until(() => this.view.state === 'live');
  }

  /** What came on the old connection is taken; then as a browser does: the id that it had last goes along. */
  async comeBack(port: number): Promise<void> {
    this.#take();
    if (this.#broken !== undefined) throw this.#broken;
    const { lastEventId } = this.client;
    this.client.close();
    // Without an id it is as new, whatever it has seen.
    if (lastEventId === '') this.view.epoch = undefined;
    this.view.subscribe();
    this.client = await EventClient.open(streamUrl(port, this.#asked), { ...this.#options, lastEventId });
    this.#taken = 0;
  }

  async until(done: () => unknown): Promise<void> {
    await this.client.until(() => {
      this.#take();
      if (this.#broken !== undefined) throw this.#broken;
      return done() ? true : undefined;
    });
  }

  #take(): void {
    const views = new Map([['s', this.view]]);
    for (const { event, data } of this.client.events.slice(this.#taken)) {
      this.#taken++;
      const frame = JSON.parse(data) as ServerFrame;
      this.frames.push(frame);
      try {
        if (frame.t !== event) throw new Error(`event ${event} with a frame ${frame.t}`);
        route(views, frame);
      } catch (error) {
        this.#broken ??= error;
      }
    }
  }
}
