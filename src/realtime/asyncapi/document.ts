/**
 * The AsyncAPI 3 document of the realtime port (https://www.asyncapi.com/docs/reference/specification/v3.0.0): the socket, the
 * stream, and a channel for each way in which a view can be watched. Seen from the server, as AsyncAPI wants it: it `send`s
 * changes and `receive`s subscriptions.
 */
import type { AnyApp } from '../../domain/app.js';
import type { Field } from '../../domain/fields.js';
import type { AnyProjection } from '../../domain/projection.js';
import { SUBPROTOCOL } from '../../protocol/frames.js';
import { REALTIME_PATH, STREAM_PATH } from '../paths.js';
import {
  always,
  CLIENT_FRAMES,
  CONTROL_FRAMES,
  objectOf,
  SHARED_FRAMES,
  SUBSCRIPTION_FRAMES,
  type Frame,
  type Schema,
} from './frames.js';
import { channelsOf, rowFrames, rowSchema, type ViewChannel } from './views.js';

export interface AsyncApiOptions {
  readonly version: string;
  /** Where callers reach the socket: `ws://host:port/realtime`. */
  readonly url: string;
}

type Plain = Schema;
type Reference = { readonly $ref: string };

/** A part of a JSON Pointer, as it stands in a `$ref`. */
const ref = (...path: readonly string[]): Reference => ({
  $ref: `#/${path.map((part) => part.replaceAll('~', '~0').replaceAll('/', '~1')).join('/')}`,
});
const refsTo = (channel: string, names: readonly string[]): readonly Reference[] =>
  names.map((name) => ref('channels', channel, 'messages', name));
const asMessages = (names: readonly string[]): Plain =>
  Object.fromEntries(names.map((name) => [name, ref('components', 'messages', name)]));
const message = (name: string, { summary, payload }: Frame): Plain => ({
  name,
  summary,
  contentType: 'application/json',
  payload,
});

const SOCKET = 'socket';
const STREAM = 'stream';
const rowMessage = (kind: 'snap' | 'chg' | 'missed', view: string): string => `${kind}.${view}`;
const rowMessages = (view: string): readonly string[] => [
  rowMessage('snap', view),
  rowMessage('missed', view),
  rowMessage('chg', view),
];
const subMessage = (channel: string): string => `sub.${channel}`;

function parameterOf(location: string, field: Field | undefined): Plain {
  const values = field?.schema.enum?.filter((one) => typeof one === 'string') ?? [];
  return { location, ...(values.length > 0 ? { enum: values } : {}) };
}

function viewChannel(view: string, channel: ViewChannel): Plain {
  const parameters = Object.entries(channel.parameters).map(([name, { location, field }]) => [
    name,
    parameterOf(location, field),
  ]);
  return {
    address: channel.address,
    title: channel.name,
    description: `${channel.description} The address names it; on the wire it is what the \`sub\` frame or the query of ${STREAM_PATH} asks for.`,
    servers: [ref('servers', SOCKET), ref('servers', STREAM)],
    ...(parameters.length > 0 ? { parameters: Object.fromEntries(parameters) } : {}),
    messages: asMessages([subMessage(channel.name), ...rowMessages(view), ...SUBSCRIPTION_FRAMES]),
  };
}

function channels(app: AnyApp): Plain {
  const views = app.views.map(({ name }) => name);
  return {
    [SOCKET]: {
      address: REALTIME_PATH,
      title: 'The socket',
      description: `A WebSocket with the subprotocol \`${SUBPROTOCOL}\`: JSON text, one object a frame, \`t\` names it. Subscriptions of all channels go over one.`,
      servers: [ref('servers', SOCKET)],
      messages: asMessages([...CLIENT_FRAMES, ...CONTROL_FRAMES, 'unsubbed']),
      bindings: { ws: { method: 'GET', bindingVersion: '0.1.0' } },
    },
    [STREAM]: {
      address: STREAM_PATH,
      title: 'The stream',
      description:
        'Server-sent events, one subscription a stream: `event:` is the frame’s `t`, `data:` the frame, `id:` a cursor, which ' +
        'comes back as `Last-Event-ID` (or as `from`) and goes on from there.',
      servers: [ref('servers', STREAM)],
      messages: asMessages([
        ...CONTROL_FRAMES.filter((name) => name !== 'pong'),
        'live',
        'reset',
        'unsubbed',
        ...views.flatMap(rowMessages),
      ]),
    },
    ...Object.fromEntries(
      app.views.flatMap((view) =>
        channelsOf(view).map((channel) => [channel.name, viewChannel(view.name, channel)]),
      ),
    ),
  };
}

/** The query of a stream: texts as they are, `where` as JSON. */
function query(view: string, { asked }: ViewChannel): Plain {
  const fields = Object.entries(asked).map(([name, schema]): [string, Plain] => [
    name,
    name === 'where' ? { type: 'string', description: `JSON: ${JSON.stringify(schema)}` } : schema,
  ]);
  return objectOf({ view: always(view), ...Object.fromEntries(fields), 'from?': { type: 'string' } });
}

function viewOperations(projection: AnyProjection): Plain {
  const { name: view } = projection;
  return Object.fromEntries(
    channelsOf(projection).flatMap((channel) => {
      const { name } = channel;
      const answers = refsTo(name, [...rowMessages(view), ...SUBSCRIPTION_FRAMES]);
      return [
        [
          `subscribe.${name}`,
          {
            action: 'receive',
            channel: ref('channels', name),
            summary: channel.sub.summary,
            messages: refsTo(name, [subMessage(name)]),
            reply: { channel: ref('channels', name), messages: answers },
          },
        ],
        [
          `changes.${name}`,
          {
            action: 'send',
            channel: ref('channels', name),
            summary: 'A snapshot or what was missed, then every change.',
            messages: answers,
          },
        ],
        [
          `stream.${name}`,
          {
            action: 'send',
            channel: ref('channels', STREAM),
            summary: `The same as server-sent events. ${channel.description}`,
            messages: refsTo(STREAM, [...rowMessages(view), ...SUBSCRIPTION_FRAMES]),
            bindings: { http: { method: 'GET', query: query(view, channel), bindingVersion: '0.3.0' } },
          },
        ],
      ];
    }),
  );
}

function operations(app: AnyApp): Plain {
  return {
    control: {
      action: 'receive',
      channel: ref('channels', SOCKET),
      summary: 'What a client sends beside `sub`.',
      messages: refsTo(SOCKET, CLIENT_FRAMES),
      reply: {
        channel: ref('channels', SOCKET),
        messages: refsTo(SOCKET, ['unsubbed', 'authed', 'pong', 'err']),
      },
    },
    notices: {
      action: 'send',
      channel: ref('channels', SOCKET),
      summary: 'What the server says of the connection.',
      messages: refsTo(SOCKET, CONTROL_FRAMES),
    },
    ...Object.assign({}, ...app.views.map(viewOperations)),
  };
}

function messages(app: AnyApp): Plain {
  return {
    ...Object.fromEntries(Object.entries(SHARED_FRAMES).map(([name, frame]) => [name, message(name, frame)])),
    ...Object.fromEntries(
      app.views.flatMap((projection) => {
        const { name: view } = projection;
        const frames = rowFrames(view, ref('components', 'schemas', view));
        return [
          ...(['snap', 'chg', 'missed'] as const).map((kind) => [
            rowMessage(kind, view),
            message(kind === 'missed' ? 'chg' : kind, frames[kind]),
          ]),
          ...channelsOf(projection).map(({ name, sub }) => [subMessage(name), message('sub', sub)]),
        ];
      }),
    ),
  };
}

/** How a token is shown; nothing where rights are off. */
function security({ auth }: AnyApp): {
  readonly schemes: Plain;
  readonly socket: Plain;
  readonly stream: Plain;
} {
  if (auth === 'none') return { schemes: {}, socket: {}, stream: {} };
  const { cookie } = auth;
  const schemes = {
    frame: {
      type: 'apiKey',
      in: 'password',
      description: 'The token in an `auth` frame, the first within 5 s. Never in the URL.',
    },
    bearer: { type: 'http', scheme: 'bearer', description: '`Authorization: Bearer`.' },
    ...(cookie === undefined
      ? {}
      : { cookie: { type: 'httpApiKey', in: 'cookie', name: cookie, description: 'For browsers.' } }),
  };
  const of = (names: readonly string[]): Plain => ({
    security: names
      .filter((name) => Object.hasOwn(schemes, name))
      .map((name) => ref('components', 'securitySchemes', name)),
  });
  return { schemes, socket: of(['frame', 'bearer', 'cookie']), stream: of(['bearer', 'cookie']) };
}

/** The two servers: one port, two protocols, as callers reach them. */
function servers(url: string, socket: Plain, stream: Plain): Plain {
  const { host, pathname, protocol } = new URL(url);
  const before = pathname.replace(new RegExp(`${REALTIME_PATH}/?$`), '');
  const isSecure = protocol === 'wss:' || protocol === 'https:';
  const server = (kind: string, description: string, secured: Plain): Plain => ({
    host: '{host}',
    ...(before === '' ? {} : { pathname: before }),
    protocol: isSecure ? `${kind}s` : kind,
    description,
    variables: { host: { default: host, description: 'Host and port of the realtime port.' } },
    ...secured,
  });
  return {
    [SOCKET]: server('ws', `WebSocket, subprotocol \`${SUBPROTOCOL}\`.`, socket),
    [STREAM]: server('http', 'Server-sent events, for places where WebSocket can’t go.', stream),
  };
}

/** @returns the document as plain data */
export function asyncApiDocument(app: AnyApp, { version, url }: AsyncApiOptions): Plain {
  const { schemes, socket, stream } = security(app);
  return {
    asyncapi: '3.0.0',
    info: {
      title: app.name,
      version,
      description:
        'Live views: a subscriber first gets a snapshot that was read together with its position, then every later change, ' +
        'once, in order; after a drop it goes on from its position.',
    },
    defaultContentType: 'application/json',
    servers: servers(url, socket, stream),
    channels: channels(app),
    operations: operations(app),
    components: {
      schemas: Object.fromEntries(app.views.map((view) => [view.name, rowSchema(view)])),
      messages: messages(app),
      ...(Object.keys(schemes).length > 0 ? { securitySchemes: schemes } : {}),
    },
  };
}
