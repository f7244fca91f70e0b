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
  event(event: EventSourceMessage): void;
}

/** @throws whatever `fetch` throws where the network is at fault, or the signal was aborted */
export async function readStream(request: StreamRequest): Promise<Refusal | undefined> {
  const { url, headers, credentials, signal, heard, event } = request;
  const response = await request.fetch(url, {
    headers: { accept: 'text/event-stream', ...headers },
    credentials,
    signal,
  });
  heard();
  const type = response.headers.get('content-type') ?? '';
  if (!response.ok || !response.body || !/^text\/event-stream\b/i.test(type)) return readProblem(response);
  const parser = createParser({ onEvent: event });
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return undefined;
    heard();
    parser.feed(decoder.decode(value, { stream: true }));
  }
}
