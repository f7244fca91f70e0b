/** What `/ops/…` looks like in OpenAPI: made from the schemas of what is sent and answered. */
import type { z } from 'zod';
import type { AnyApp } from '../../../domain/app.js';
import { jsonSchemaOf } from '../../../domain/fields.js';
import {
  problemResponses,
  RIGHTS_PROBLEMS,
  type OperationObject,
  type Operations,
} from '../../../protocol/openapi.js';
import type { ProblemCode } from '../../../protocol/problems.js';
import * as answers from './answers.js';
import * as input from './input.js';

type Json = Readonly<Record<string, unknown>>;

const EVERY: readonly ProblemCode[] = ['invalid_parameter', 'query_timeout'];
const WITH_BODY: readonly ProblemCode[] = [
  'invalid_json',
  'invalid_payload',
  'payload_too_large',
  'unsupported_media_type',
  'query_timeout',
];

const content = (name: string, schema: z.ZodType, io: 'input' | 'output'): Json => ({
  'application/json': { schema: jsonSchemaOf(`operation ${name}`, schema, io) },
});

const inPath = (name: string, description: string): Json => ({
  name,
  in: 'path',
  required: true,
  description,
  schema: { type: 'string' },
});
const inQuery = (name: string, description: string, schema: Json): Json => ({
  name,
  in: 'query',
  required: false,
  description,
  schema,
});

interface Described {
  readonly id: string;
  readonly summary: string;
  readonly description?: string;
  readonly parameters?: readonly Json[];
  /** Of a POST; its body may be empty where all of it is optional. */
  readonly body?: z.ZodType;
  /** By status. */
  readonly answers: Readonly<Record<number, readonly [description: string, schema: z.ZodType]>>;
  readonly problems?: readonly ProblemCode[];
}

/** Path → method → what stands there. */
type Table = Readonly<Record<string, Readonly<Record<string, Described>>>>;

function operation(one: Described, rights: readonly ProblemCode[]): OperationObject {
  const { id, summary, description, parameters, body, problems = [] } = one;
  return {
    operationId: `ops_${id}`,
    summary,
    tags: ['operators'],
    ...(description === undefined ? {} : { description }),
    ...(parameters === undefined ? {} : { parameters }),
    ...(body === undefined
      ? {}
      : { requestBody: { required: !body.safeParse({}).success, content: content(id, body, 'input') } }),
    responses: {
      ...problemResponses([...rights, ...(body === undefined ? EVERY : WITH_BODY), ...problems]),
      ...Object.fromEntries(
        Object.entries(one.answers).map(([status, [what, schema]]) => [
          status,
          { description: what, content: content(id, schema, 'output') },
        ]),
      ),
    },
  };
}

const NAME = inPath('name', 'Projection.');
const PROJECTION = inPath('projection', 'Projection.');
const KEY = inPath('key', 'Key of the row, percent-encoded; of a joined stream, its id.');

const projectionOperations = (): Table => ({
  '/ops/projections': {
    get: {
      id: 'projections',
      summary: 'How each version of each projection stands',
      answers: { 200: ['All of them.', answers.ProjectionsAnswer] },
    },
  },
  '/ops/projections/{name}': {
    get: {
      id: 'projection',
      summary: 'How the versions of a projection stand',
      parameters: [NAME],
      answers: { 200: ['Its versions, the newest last.', answers.ProjectionAnswer] },
      problems: ['unknown_projection'],
    },
  },
});

const controlOperations = (): Table => ({
  '/ops/projections/{name}/pause': {
    post: {
      id: 'pause',
      summary: 'Stops a version: no event comes in until it is resumed',
      parameters: [NAME],
      body: input.VersionBody,
      answers: { 200: ['It is paused; no batch is in flight.', answers.VersionAnswer] },
      problems: ['unknown_projection', 'wrong_state'],
    },
  },
  '/ops/projections/{name}/resume': {
    post: {
      id: 'resume',
      summary: 'Has a version go on that is paused or has halted',
      parameters: [NAME],
      body: input.VersionBody,
      answers: { 200: ['All of its shards are tried again.', answers.VersionAnswer] },
      problems: ['unknown_projection', 'wrong_state'],
    },
  },
  '/ops/projections/{name}/rebuild': {
    post: {
      id: 'rebuild',
      summary: 'Makes the rows of a version again from its events, in place',
      description:
        'Of the version that this process has in its code. Its view answers 503 `projection_building` until it is done; raising the version has no such gap.',
      parameters: [NAME],
      body: input.NothingBody,
      answers: { 202: ['It has begun.', answers.RebuildAnswer] },
      problems: ['unknown_projection', 'wrong_state'],
    },
  },
});

const releaseOperations = (): Table => ({
  '/ops/projections/{name}/swap-view': {
    post: {
      id: 'swap_view',
      summary: 'Has the SQL view show another version',
      parameters: [NAME],
      body: input.SwapBody,
      answers: { 200: ['It does.', answers.SwapAnswer] },
      problems: ['unknown_projection', 'wrong_state', 'view_has_dependents', 'view_in_use'],
    },
  },
  '/ops/projections/prune': {
    post: {
      id: 'prune',
      summary: 'Drops the tables of versions that nobody uses any more',
      description: 'Those of the application of this process are kept.',
      body: input.PruneBody,
      answers: { 200: ['What was dropped, and why the rest was not.', answers.PruneAnswer] },
    },
  },
});

const checkingOperations = (): Table => ({
  '/ops/projections/{name}/diff': {
    post: {
      id: 'diff',
      summary: 'Compares the rows of two versions, as of one moment',
      parameters: [NAME],
      body: input.DiffBody,
      answers: { 200: ['What differs.', answers.DiffAnswer] },
      problems: ['unknown_projection', 'wrong_state'],
    },
  },
  '/ops/projections/{name}/verify': {
    post: {
      id: 'verify',
      summary: 'Folds events again and compares the rows that they make with those of the table',
      description:
        'In the version that this process has in its code. A sample or some keys are answered at once; all rows are compared in the background.',
      parameters: [NAME],
      body: input.VerifyBody,
      answers: {
        200: ['What differs.', answers.VerificationAnswer],
        202: ['It has begun; see `GET`.', answers.VerificationBegunAnswer],
      },
      problems: ['unknown_projection', 'wrong_state', 'too_many_requests'],
    },
    get: {
      id: 'verification',
      summary: 'The last verification of all rows that was begun in this process',
      parameters: [NAME],
      answers: { 200: ['How far it is, or what it found.', answers.VerificationStateAnswer] },
      problems: ['unknown_projection'],
    },
  },
});

const parkedOperations = (): Table => ({
  '/ops/parked': {
    get: {
      id: 'parked_list',
      summary: 'Keys whose fold threw',
      parameters: [
        inQuery('projection', 'Of one projection only.', { type: 'string' }),
        inQuery('limit', 'Keys at the most, the longest parked first.', {
          type: 'integer',
          minimum: 1,
          maximum: 1_000,
          default: 100,
        }),
      ],
      answers: { 200: ['The first of them; `total` counts all.', answers.ParkedListAnswer] },
      problems: ['unknown_projection'],
    },
  },
  '/ops/parked/{projection}/{key}': {
    get: {
      id: 'parked',
      summary: 'A parked key: the event at fault, and what waits behind it',
      parameters: [
        PROJECTION,
        KEY,
        inQuery('part', 'Of a joined stream, the aggregate.', { type: 'string' }),
        inQuery('version', 'The newest that has the key parked without it.', { type: 'integer', minimum: 1 }),
      ],
      answers: { 200: ['The key.', answers.ParkedAnswer] },
      problems: ['unknown_projection', 'not_parked'],
    },
  },
});

const replayOperations = (): Table => ({
  '/ops/parked/{projection}/replay': {
    post: {
      id: 'replay_all',
      summary: 'Folds the events behind all parked keys again',
      description: 'In the version that this process has in its code, as the other replays.',
      parameters: [PROJECTION],
      body: input.NothingBody,
      answers: { 200: ['What became of each key.', answers.ReplayAllAnswer] },
      problems: ['unknown_projection', 'wrong_state'],
    },
  },
  '/ops/parked/{projection}/{key}/replay': {
    post: {
      id: 'replay',
      summary: 'Folds the events behind a parked key again, in their order',
      parameters: [PROJECTION, KEY],
      body: input.ReplayBody,
      answers: { 200: ['It is parked no more.', answers.ReplayAnswer] },
      problems: ['unknown_projection', 'not_parked', 'wrong_state', 'fold_failed_again', 'needs_newer_code'],
    },
  },
  '/ops/parked/{projection}/{key}/skip': {
    post: {
      id: 'skip',
      summary: 'Leaves the event at fault out, for ever, and folds those after it',
      parameters: [PROJECTION, KEY],
      body: input.SkipBody,
      answers: { 200: ['The event is skipped.', answers.SkipAnswer] },
      problems: ['unknown_projection', 'not_parked', 'wrong_state'],
    },
  },
  '/ops/parked/{projection}/accept': {
    post: {
      id: 'accept_parked',
      summary: 'Lets a version become ready though keys are parked',
      parameters: [PROJECTION],
      body: input.AcceptBody,
      answers: { 200: ['How the version stands.', answers.VersionAnswer] },
      problems: ['unknown_projection'],
    },
  },
});

/** `/ops/…` in OpenAPI. */
export function operatorOperations({ auth }: Pick<AnyApp, 'auth'>): Operations {
  const table: Table = {
    ...projectionOperations(),
    ...controlOperations(),
    ...releaseOperations(),
    ...checkingOperations(),
    ...parkedOperations(),
    ...replayOperations(),
  };
  const rights: readonly ProblemCode[] = auth === 'none' ? ['loopback_only'] : RIGHTS_PROBLEMS;
  return Object.fromEntries(
    Object.entries(table).map(([path, methods]) => [
      path,
      Object.fromEntries(Object.entries(methods).map(([method, one]) => [method, operation(one, rights)])),
    ]),
  );
}
