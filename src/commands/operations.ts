/** What the routes of commands and streams look like in OpenAPI: per aggregate and command, from the schemas. */
import type { AnyAggregate } from '../domain/aggregate.js';
import type { AnyApp } from '../domain/app.js';
import { MAX_ID_CODE_POINTS } from '../domain/identifiers.js';
import { jsonSchemaOf } from '../domain/fields.js';
import {
  PROBLEM_SCHEMA,
  problemResponses,
  RIGHTS_PROBLEMS,
  type OperationObject,
  type Operations,
} from '../protocol/openapi.js';
import type { ProblemCode } from '../protocol/problems.js';
import { DEFAULT_HISTORY_ITEMS, MAX_HISTORY_ITEMS } from './stream-parameters.js';

type Json = Readonly<Record<string, unknown>>;

const COMMAND_PROBLEMS: readonly ProblemCode[] = [
  'invalid_json',
  'invalid_payload',
  'invalid_stream_id',
  'stream_conflict',
  'precondition_failed',
  'payload_too_large',
  'event_too_large',
  'unsupported_media_type',
  'idempotency_key_reused',
  'too_many_requests',
  'event_unreadable',
  'overloaded',
  'needs_newer_code',
  'context_unavailable',
  'outcome_unknown',
];

/** A rejection’s code is the domain’s, and chosen while it decides: the document cannot list them. */
const REJECTIONS =
  'The domain may reject the command: 409, or 404 or 422 where the rejection says so, each with a `code` of the domain’s own.';

const string = (more: Json = {}): Json => ({ type: 'string', ...more });
const integer = (more: Json = {}): Json => ({ type: 'integer', ...more });

function object(properties: Json, optional: readonly string[] = []): Json {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: 'object', properties, required };
}

const STREAM_ID: Json = {
  name: 'id',
  in: 'path',
  required: true,
  description: 'Stream id: not blank, no control characters, percent-encoded.',
  schema: string({ minLength: 1, maxLength: MAX_ID_CODE_POINTS }),
};

const header = (name: string, description: string, schema: Json): Json => ({
  name,
  in: 'header',
  required: false,
  description,
  schema,
});

const COMMAND_HEADERS: readonly Json[] = [
  header(
    'Idempotency-Key',
    'The same key with the same request gives the stored answer, for days. Rejections are not stored.',
    string({ minLength: 1, maxLength: 200, pattern: '^[\\x20-\\x7e]+$' }),
  ),
  header(
    'If-Match',
    'The version that the stream must be at, as `"s<version>"`; `*`: it has an event.',
    string({ pattern: '^("s(0|[1-9][0-9]*)"|\\*)$' }),
  ),
  header('If-None-Match', '`*`: the stream has no event yet.', string({ const: '*' })),
  header('traceparent', 'W3C trace context, carried in the events’ metadata.', string()),
];

const ETAG: Json = { ETag: { description: 'The stream’s version, `"s<version>"`.', schema: string() } };
const VERSION = integer({ minimum: 0 });

const json = (description: string, schema: Json, headers?: Json): Json => ({
  description,
  ...(headers === undefined ? {} : { headers }),
  content: { 'application/json': { schema } },
});

const RESULT = object({
  streamId: string(),
  version: VERSION,
  events: {
    type: 'array',
    items: object({
      type: string(),
      version: integer({ minimum: 1 }),
      eventId: string({ format: 'uuid' }),
    }),
  },
  token: string({ description: 'Pass it as `after` to read what was written.' }),
});

/** Statuses that a rejection may have, with the codes of Tidemark’s own that share them. */
const REJECTION_STATUSES: Readonly<Record<number, readonly ProblemCode[]>> = {
  404: [],
  409: ['stream_conflict'],
  422: ['idempotency_key_reused'],
};

/** Codes of rejections are open, so these responses name no closed list of codes. */
function rejectionResponses(): Record<string, Json> {
  return Object.fromEntries(
    Object.entries(REJECTION_STATUSES).map(([status, codes]) => [
      status,
      {
        description: ['a rejection (`code` is the domain’s)', ...codes.map((code) => `\`${code}\``)].join(
          ', ',
        ),
        content: {
          'application/problem+json': {
            schema: {
              allOf: [{ $ref: `#/components/schemas/${PROBLEM_SCHEMA}` }],
              properties: { status: { const: Number(status) } },
            },
          },
        },
      },
    ]),
  );
}

/** `more`: what any of them may answer with beside its own. */
type More = readonly ProblemCode[];
const moreOf = ({ auth }: AnyApp): More => (auth === 'none' ? [] : RIGHTS_PROBLEMS);

function commandOperation(aggregate: AnyAggregate, command: string, more: More): OperationObject {
  const schema = aggregate.commands[command];
  const payload = schema ? jsonSchemaOf(`${aggregate.name}.${command}`, schema, 'input') : {};
  return {
    operationId: `commands.${aggregate.name}.${command}`,
    summary: `Command ${command} of ${aggregate.name}`,
    description: REJECTIONS,
    tags: [aggregate.name],
    parameters: [STREAM_ID, ...COMMAND_HEADERS],
    requestBody: {
      description: 'The payload; an empty body is `{}`. Fields that the schema does not know are refused.',
      required: false,
      content: { 'application/json': { schema: payload } },
    },
    responses: {
      200: json('Accepted: what was written, or what was answered before to the same key.', RESULT, ETAG),
      ...problemResponses([...COMMAND_PROBLEMS, ...more]),
      ...rejectionResponses(),
    },
  };
}

/** `POST /commands/{aggregate}/{id}/{command}`, one operation a command. */
export const commandOperations = (app: AnyApp): Operations =>
  Object.fromEntries(
    app.aggregates.flatMap((aggregate) =>
      Object.keys(aggregate.commands).map((command) => [
        `/commands/${aggregate.name}/{id}/${command}`,
        { post: commandOperation(aggregate, command, moreOf(app)) },
      ]),
    ),
  );

const parameter = (name: string, description: string, schema: Json): Json => ({
  name,
  in: 'query',
  required: false,
  description,
  schema,
});

const texts: Json = { type: 'object', additionalProperties: string() };

/** One stored event: its data as it was stored, in the schema version that it was stored with. */
function historyItem(aggregate: AnyAggregate): Json {
  return object({
    eventId: string({ format: 'uuid' }),
    seq: integer({ minimum: 1 }),
    shard: integer({ minimum: 0 }),
    version: integer({ minimum: 1 }),
    type: string({ description: `Of this code: ${Object.keys(aggregate.events).join(', ')}.` }),
    schemaVersion: integer({ minimum: 1 }),
    data: { description: 'As it was stored, in `schemaVersion`; not upcast.' },
    tags: texts,
    metadata: object(
      { correlationId: string(), causationId: string(), actor: string(), traceparent: string() },
      ['traceparent'],
    ),
    recordedAt: string({ format: 'date-time' }),
  });
}

const STREAM_PROBLEMS: readonly ProblemCode[] = [
  'invalid_stream_id',
  'invalid_parameter',
  'stream_not_found',
];

function historyOperation(aggregate: AnyAggregate, more: More): OperationObject {
  const next = { type: ['integer', 'null'], description: 'The version to go on from; null at the end.' };
  const page = object({ items: { type: 'array', items: historyItem(aggregate) }, next });
  return {
    operationId: `streams.${aggregate.name}.history`,
    summary: `Events of one ${aggregate.name}`,
    description:
      'A page may be shorter than `limit` where its events are large; `next` says where it goes on.',
    tags: [aggregate.name],
    parameters: [
      STREAM_ID,
      parameter('from', 'First version.', integer({ minimum: 1, default: 1 })),
      parameter(
        'limit',
        'Events at the most.',
        integer({ minimum: 1, maximum: MAX_HISTORY_ITEMS, default: DEFAULT_HISTORY_ITEMS }),
      ),
    ],
    responses: { 200: json('A page of events.', page), ...problemResponses([...STREAM_PROBLEMS, ...more]) },
  };
}

function stateOperation(aggregate: AnyAggregate, more: More): OperationObject {
  const state = jsonSchemaOf(`${aggregate.name}.state`, aggregate.state, 'output');
  return {
    operationId: `streams.${aggregate.name}.state`,
    summary: `State of one ${aggregate.name}, now or as it was`,
    description:
      'Folded by the running code. Without `atVersion` and `atTime` the answer has an ETag for If-Match.',
    tags: [aggregate.name],
    parameters: [
      STREAM_ID,
      parameter('atVersion', 'After this version; 0 is the state before the first event.', VERSION),
      parameter(
        'atTime',
        'After the last event recorded at or before this time (ISO 8601 with offset). Not beside `atVersion`.',
        string({ format: 'date-time' }),
      ),
    ],
    responses: {
      200: json('The state.', object({ streamId: string(), version: VERSION, state }), ETAG),
      ...problemResponses([
        ...STREAM_PROBLEMS,
        'version_not_found',
        'needs_newer_code',
        'event_unreadable',
        ...more,
      ]),
    },
  };
}

/** `GET /streams/{aggregate}/{id}` and its `/state`, per aggregate. */
export const streamOperations = (app: AnyApp): Operations =>
  Object.fromEntries(
    app.aggregates.flatMap((aggregate) => [
      [`/streams/${aggregate.name}/{id}`, { get: historyOperation(aggregate, moreOf(app)) }],
      [`/streams/${aggregate.name}/{id}/state`, { get: stateOperation(aggregate, moreOf(app)) }],
    ]),
  );
