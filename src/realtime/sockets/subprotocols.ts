/** The list in `Sec-WebSocket-Protocol`, for the engines. */

export const offeredProtocols = (header: string | undefined): readonly string[] =>
  (header ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
