/** One request for a stream of server-sent events, read to its end. */
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { readProblem, type Refusal } from './refusals.js';
import type { SseSettings } from './settings.js';

export interface StreamRequest extends Pick<SseSettings, 'fetch' | 'credentials'> {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** Something came, be it a part of an event. */
  heard(): void;
  /** Throws where the stream makes no sense, which ends it. */
  event(event: EventSourceMessage): void;
}

/** `ended`: by the server, by the network, by `signal`; `unreached`: there was no answer, or the browser keeps it from us. */
export type StreamEnd = 'ended' | 'unreached' | Refusal;

export async function readStream(request: StreamRequest): Promise<StreamEnd> {
  const { url, headers, credentials, signal } = request;
  let response: Response;
  try {
    response = await request.fetch(url, {
      headers: { accept: 'text/event-stream', ...headers },
      credentials,
      signal,
    });
  } catch {
    return 'unreached';
  }
  const type = response.headers.get('content-type') ?? '';
  if (!response.ok || !response.body || !/^text\/event-stream\b/i.test(type)) return readProblem(response);
  request.heard();
  const parser = createParser({ onEvent: (event) => request.event(event) });
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return 'ended';
      request.heard();
      parser.feed(decoder.decode(value, { stream: true }));
    }
  } catch {
    return 'ended';
  }
}
