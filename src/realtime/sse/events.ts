/** Server frames as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). */

/** `event:` is the frame's name, as every frame begins with it. */
const NAME = /^\{"t":"([a-z]+)"/;

export const frameName = (text: string): string => NAME.exec(text)?.[1] ?? 'message';

export interface EventFields {
  /** What the browser shows as `Last-Event-ID` when it comes back; empty: nothing any more. Undefined: as before. */
  readonly id?: string | undefined;
  /** When the browser comes back after the stream has ended, ms. */
  readonly retry?: number | undefined;
}

/** @param text a frame as the socket has it: JSON, in which a line break can only stand between tokens */
export function encodeEvent(text: string, { id, retry }: EventFields = {}): Buffer {
  const data = /[\r\n]/.test(text) ? text.replaceAll(/[\r\n]+/g, ' ') : text;
  const lines = [
    `event: ${frameName(text)}\n`,
    ...(id === undefined ? [] : [`id: ${id}\n`]),
    ...(retry === undefined ? [] : [`retry: ${retry}\n`]),
    `data: ${data}\n\n`,
  ];
  return Buffer.from(lines.join(''));
}
