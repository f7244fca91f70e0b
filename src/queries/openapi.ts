/** What views and queries say of their routes in the OpenAPI document. */
import type { AnyApp } from '../domain/app.js';
import { jsonSchemaOf, type Field, type JsonSchema } from '../domain/fields.js';
import type { AnyProjection } from '../domain/projection.js';
import type { AnyQuery } from '../domain/query.js';
import {
  problemResponses,
  RIGHTS_PROBLEMS,
  type OperationObject,
  type Operations,
} from '../protocol/openapi.js';
import type { ProblemCode } from '../protocol/problems.js';
import { DEFAULT_LIMIT, listFields, MAX_LIMIT } from '../projections/ordering.js';
import { DEFAULT_WAIT_MS, MAX_WAIT_MS } from './read-after.js';

type Parameter = Readonly<Record<string, unknown>>;

const inQuery = (name: string, schema: JsonSchema, description: string): Parameter => ({
  name,
  in: 'query',
  required: false,
  description,
  schema,
});

const WAITING: readonly Parameter[] = [
  {
    ...inQuery(
      'after',
      { type: 'array', items: { type: 'string' } },
      'Token of a command: the read waits until it has what the command wrote. May be repeated.',
    ),
    explode: true,
  },
  inQuery(
    'wait',
    { type: 'integer', minimum: 0, maximum: MAX_WAIT_MS, default: DEFAULT_WAIT_MS },
    'Milliseconds to wait for `after` at the most.',
  ),
];

const WAIT_PROBLEMS: readonly ProblemCode[] = [
  'invalid_parameter',
  'invalid_token',
  'position_expired',
  'projection_behind',
  'projection_halted',
  'projection_building',
  'projection_paused',
  'needs_newer_code',
  'overloaded',
];

/** What any of them may answer with beside its own. */
type More = readonly ProblemCode[];
const moreOf = ({ auth }: AnyApp): More => (auth === 'none' ? [] : RIGHTS_PROBLEMS);

const CURSOR_HEADER = {
  'Tidemark-Cursor': {
    description: 'A realtime subscription to the same goes on from here without a hole.',
    schema: { type: 'string' },
  },
};
const ETAG_HEADER = { ETag: { description: '`"r<epoch>-<revision>"`', schema: { type: 'string' } } };

const PARKED_HEADER = {
  'Tidemark-Parked': {
    description:
      '`true` where an event of what was read could not be folded: it stands as it was before that event until an operator acts. Else absent.',
    schema: { type: 'string', enum: ['true'] },
  },
};

const json = (schema: unknown): unknown => ({ 'application/json': { schema } });

function filterParameter(field: Field): Parameter {
  const nullable = field.nullable || field.optional;
  return inQuery(
    field.name,
    field.schema,
    `Rows with exactly this value.${nullable ? ' An empty value asks for rows that have none.' : ''}`,
  );
}

function rowOperation(projection: AnyProjection, row: JsonSchema, more: More): OperationObject {
  return {
    operationId: `view_${projection.name}_row`,
    summary: `One row of ${projection.name}`,
    tags: ['views'],
    parameters: [
      { name: 'key', in: 'path', required: true, description: projection.key, schema: { type: 'string' } },
      {
        name: 'If-None-Match',
        in: 'header',
        required: false,
        description: 'Tags that the caller has already, or `*`.',
        schema: { type: 'string' },
      },
      ...WAITING,
    ],
    responses: {
      200: {
        description: 'The row',
        headers: { ...ETAG_HEADER, ...CURSOR_HEADER, ...PARKED_HEADER },
        content: json(row),
      },
      304: {
        description: 'The row is one of those named',
        headers: { ...ETAG_HEADER, ...CURSOR_HEADER, ...PARKED_HEADER },
      },
      ...problemResponses(
        [
          'invalid_key',
          'unknown_view',
          'row_not_found',
          'row_parked',
          'query_timeout',
          ...WAIT_PROBLEMS,
          ...more,
        ],
        { 404: { ...CURSOR_HEADER, ...PARKED_HEADER }, 503: PARKED_HEADER },
      ),
    },
  };
}

function listOperation(projection: AnyProjection, row: JsonSchema, more: More): OperationObject {
  const fields = [...listFields(projection).values()];
  const names = fields.map(({ name }) => name).join(', ');
  const page = {
    type: 'object',
    required: ['items', 'next'],
    properties: {
      items: { type: 'array', items: row },
      next: { type: ['string', 'null'], description: '`page` of the next request; null at the end.' },
    },
  };
  return {
    operationId: `view_${projection.name}_list`,
    summary: `Rows of ${projection.name}`,
    description:
      'Filters are equalities. `Tidemark-Cursor` is there when the filter is the key, a declared channel, or none. ' +
      'Null counts as greater than every value. A page may be shorter than `limit` and still have a next one.',
    tags: ['views'],
    parameters: [
      ...fields.map(filterParameter),
      inQuery(
        'sort',
        { type: 'string' },
        `Fields, separated by commas, each with - before it to fall: ${names}.`,
      ),
      inQuery(
        'limit',
        { type: 'integer', minimum: 1, maximum: MAX_LIMIT, default: DEFAULT_LIMIT },
        'Rows at the most.',
      ),
      inQuery('page', { type: 'string' }, '`next` of the page before, with the same filter, sort and limit.'),
      ...WAITING,
    ],
    responses: {
      200: { description: 'Rows', headers: { ...CURSOR_HEADER, ...PARKED_HEADER }, content: json(page) },
      ...problemResponses([
        'unknown_field',
        'invalid_cursor',
        'unknown_view',
        'query_timeout',
        ...WAIT_PROBLEMS,
        ...more,
      ]),
    },
  };
}

/** `GET /views/…` of every projection. */
export function viewOperations(app: AnyApp): Operations {
  return Object.fromEntries(
    app.views.flatMap((projection) => {
      const row = jsonSchemaOf(`projection ${projection.name}, row`, projection.row, 'output');
      return [
        [`/views/${projection.name}`, { get: listOperation(projection, row, moreOf(app)) }],
        [`/views/${projection.name}/{key}`, { get: rowOperation(projection, row, moreOf(app)) }],
      ];
    }),
  );
}

function inputParameters(input: JsonSchema): Parameter[] {
  const required = new Set(input.required ?? []);
  return Object.entries(input.properties ?? {}).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.has(name),
    schema,
    ...(schema.type === 'array' ? { explode: true } : {}),
  }));
}

function queryOperation(query: AnyQuery, method: 'get' | 'post', more: More): OperationObject {
  const input = jsonSchemaOf(`query ${query.name}, input`, query.input, 'input');
  const output = jsonSchemaOf(`query ${query.name}, output`, query.output, 'output');
  const byBody = method === 'post';
  const body: readonly ProblemCode[] = [
    'invalid_json',
    'invalid_payload',
    'payload_too_large',
    'unsupported_media_type',
  ];
  return {
    operationId: `query_${query.name}_${method}`,
    summary: `Query ${query.name}${byBody ? ', its input as body' : ''}`,
    tags: ['queries'],
    parameters: [...(byBody ? [] : inputParameters(input)), ...WAITING],
    ...(byBody ? { requestBody: { required: (input.required ?? []).length > 0, content: json(input) } } : {}),
    responses: {
      200: { description: 'The result', headers: PARKED_HEADER, content: json(output) },
      ...problemResponses([
        ...(byBody ? body : []),
        'unknown_query',
        'query_timeout',
        ...WAIT_PROBLEMS,
        ...more,
      ]),
    },
  };
}

/** `GET` and `POST /queries/…` of every query. */
export function queryOperations(app: AnyApp): Operations {
  return Object.fromEntries(
    app.queries.map((query) => [
      `/queries/${query.name}`,
      {
        get: queryOperation(query, 'get', moreOf(app)),
        post: queryOperation(query, 'post', moreOf(app)),
      },
    ]),
  );
}
