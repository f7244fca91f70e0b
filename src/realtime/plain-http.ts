/** Plain HTTP on the realtime port: streams of server-sent events, the AsyncAPI document, and word of what else there is. */
import type { StreamFault } from './sse/request.js';
import { problemAnswer } from './sse/answers.js';
import { corsHeaders, optionsAnswer } from './sse/cors.js';
import type { Streams } from './sse/route.js';
import { ASYNCAPI_PATH, STREAM_PATH } from './paths.js';
import type { Answer, SocketRequest } from './sockets/port.js';
import { accessFault, answerPlain, type Access } from './upgrade.js';

export interface PlainHttpDeps {
  readonly access: Access;
  readonly streams: Pick<Streams, 'answer'>;
  /** The AsyncAPI document as JSON. */
  document(): string;
}

type Answering = Answer | Promise<Answer>;
type Headers = Readonly<Record<string, string>>;

const wrongMethod = (path: string): StreamFault => ({
  code: 'method_not_allowed',
  detail: `${path} knows GET and OPTIONS`,
});

/** @returns what answers requests that are no upgrade */
export function plainHttp(deps: PlainHttpDeps): (request: SocketRequest) => Answering {
  const { access, streams } = deps;
  const document = (_request: SocketRequest, headers: Headers): Answer => ({
    status: 200,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-cache', ...headers },
    body: deps.document(),
  });
  const routes: Readonly<Record<string, (request: SocketRequest, headers: Headers) => Answering>> = {
    [STREAM_PATH]: (request, headers) => streams.answer(request, headers),
    [ASYNCAPI_PATH]: document,
  };
  return (request) => {
    const { path, method } = request;
    const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
    if (!route) return answerPlain(request, access);
    const fault = accessFault(request, access);
    if (fault) return fault;
    const headers = corsHeaders(request, access.rights.cookie !== undefined);
    if (method === 'OPTIONS') return optionsAnswer(headers);
    if (method === 'GET') return route(request, headers);
    return problemAnswer(wrongMethod(path), { ...headers, allow: 'GET, OPTIONS' });
  };
}
