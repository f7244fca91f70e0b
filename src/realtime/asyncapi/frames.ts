/** The frames of the socket as JSON Schema (draft 07, which AsyncAPI builds on): those that are the same for every view. */
import {
  CLOSE_CODES,
  RESET_REASONS,
  SOCKET_ERRORS,
  UNSUB_REASONS,
  type ClientFrame,
  type ServerFrame,
} from '../../protocol/frames.js';

/** A schema as draft 07 has it. */
export type Schema = Readonly<Record<string, unknown>>;

/** An object with these fields, all of them required but those that end in `?`, and no others. */
export function objectOf(fields: Readonly<Record<string, Schema>>): Schema {
  const entries = Object.entries(fields);
  return {
    type: 'object',
    properties: Object.fromEntries(entries.map(([name, schema]) => [name.replace('?', ''), schema])),
    required: entries.flatMap(([name]) => (name.endsWith('?') ? [] : [name])),
    additionalProperties: false,
  };
}

/** An array of exactly these. */
export const tupleOf = (...items: readonly Schema[]): Schema => ({
  type: 'array',
  items,
  minItems: items.length,
  additionalItems: false,
});

export const listOf = (items: Schema, description?: string): Schema => ({
  type: 'array',
  items,
  ...(description === undefined ? {} : { description }),
});

export const text = (description: string): Schema => ({ type: 'string', description });
export const whole = (description: string, minimum = 0): Schema => ({
  type: 'integer',
  minimum,
  description,
});
/** A field that always has this value. */
export const always = (value: string | boolean): Schema => ({ const: value });

const described = (codes: Readonly<Record<string, string>>): string =>
  Object.entries(codes)
    .map(([code, meaning]) => `\`${code}\`: ${meaning}`)
    .join(' ');
const oneOf = (codes: Readonly<Record<string, string>>): Schema => ({
  type: 'string',
  enum: Object.keys(codes),
  description: described(codes),
});
const messagesOf = (codes: Readonly<Record<string, { readonly message: string }>>) =>
  Object.fromEntries(Object.entries(codes).map(([code, { message }]) => [code, message]));

export const SUBSCRIPTION_ID: Schema = {
  type: 'string',
  minLength: 1,
  maxLength: 64,
  description:
    'The client’s name for the subscription, unique on its socket. On a stream of `/realtime/sse`: `s`.',
};
export const EPOCH: Schema = { type: 'string', description: 'Epoch of the change log.' };
export const POSITIONS = listOf(
  tupleOf(whole('shard'), whole('seq')),
  'Per shard the seq up to which everything is known; a shard that is absent is at 0.',
);

const CLOSE_LIST = Object.entries(CLOSE_CODES)
  .map(([reason, { code, meaning }]) => `${code} \`${reason}\`: ${meaning}`)
  .join(' ');

export interface Frame {
  readonly summary: string;
  readonly payload: Schema;
}

type Shared = Exclude<ServerFrame['t'] | ClientFrame['t'], 'sub' | 'snap' | 'chg'>;

/** By `t`. */
export const SHARED_FRAMES: Readonly<Record<Shared, Frame>> = {
  unsub: {
    summary: 'Ends a subscription.',
    payload: objectOf({ t: always('unsub'), id: SUBSCRIPTION_ID }),
  },
  auth: {
    summary: 'Shows a token: the first one, or a fresh one that renews in place.',
    payload: objectOf({ t: always('auth'), token: { type: 'string' } }),
  },
  ping: { summary: 'Asks for a `pong`.', payload: objectOf({ t: always('ping') }) },
  welcome: {
    summary: 'The first frame.',
    payload: objectOf({
      t: always('welcome'),
      session: text('Name of the socket, for logs.'),
      heartbeatMs: whole('Time between two `hb`.', 1),
      limits: objectOf({
        maxSubscriptions: whole('Subscriptions a socket.'),
        maxFrameBytes: whole('Bytes of a frame from the client.'),
        maxSnapshotRows: whole('Rows of a snapshot.'),
      }),
    }),
  },
  live: {
    summary: 'Everything up to `pos` was sent; from here on changes come as `chg` with this `ch`.',
    payload: objectOf({
      t: always('live'),
      id: SUBSCRIPTION_ID,
      ch: whole('Number of the channel, good for this socket.'),
      epoch: EPOCH,
      pos: POSITIONS,
    }),
  },
  reset: {
    summary: 'The rows of the subscription no longer hold; a new snapshot follows.',
    payload: objectOf({ t: always('reset'), id: SUBSCRIPTION_ID, reason: oneOf(RESET_REASONS) }),
  },
  unsubbed: {
    summary: 'The subscription has ended.',
    payload: objectOf({
      t: always('unsubbed'),
      id: SUBSCRIPTION_ID,
      'reason?': oneOf(UNSUB_REASONS),
      'drop?': { const: true, description: 'Its rows are not the client’s any more.' },
    }),
  },
  authed: {
    summary: 'The token is accepted.',
    payload: objectOf({
      t: always('authed'),
      expiresAt: { type: ['integer', 'null'], description: 'Until when it is good: ms since 1970, or null.' },
    }),
  },
  pong: { summary: 'Answer to `ping`.', payload: objectOf({ t: always('pong') }) },
  hb: {
    summary: 'Heartbeat.',
    payload: objectOf({ t: always('hb'), at: whole('Time of the server, ms since 1970.') }),
  },
  err: {
    summary: 'Something was wrong. A subscription that it names by `id` has ended, or was never begun.',
    payload: objectOf({
      t: always('err'),
      'id?': SUBSCRIPTION_ID,
      code: oneOf(messagesOf(SOCKET_ERRORS)),
      message: text('For people.'),
    }),
  },
  bye: {
    summary: 'The server ends the connection.',
    payload: objectOf({
      t: always('bye'),
      code: whole(`Close code; 4000–4499 mean come back, 4500 and up don’t. ${CLOSE_LIST}`),
      reconnectInMs: whole('When to come back.'),
    }),
  },
};

/** Those that clients send; the others are the server’s. */
export const CLIENT_FRAMES = ['unsub', 'auth', 'ping'] as const satisfies readonly Shared[];
export const CONTROL_FRAMES = [
  'welcome',
  'authed',
  'pong',
  'hb',
  'err',
  'bye',
] as const satisfies readonly Shared[];
export const SUBSCRIPTION_FRAMES = ['live', 'reset', 'unsubbed', 'err'] as const satisfies readonly Shared[];
