/** Finds what a request names; an answer to a wrong name lists what is there. */
import type { z } from 'zod';
import type { AnyAggregate } from '../domain/aggregate.js';
import type { AnyApp } from '../domain/app.js';
import { idFault } from '../domain/identifiers.js';
import { TidemarkError } from '../platform/errors.js';

/** @throws TidemarkError `unknown_aggregate` */
export function aggregateOf(app: AnyApp, name: string): AnyAggregate {
  const found = app.aggregates.find((one) => one.name === name);
  if (found) return found;
  const aggregates = app.aggregates.map((one) => one.name);
  throw new TidemarkError(
    'unknown_aggregate',
    `there is no such aggregate; there are ${aggregates.join(', ')}`,
    {
      extra: { aggregates },
    },
  );
}

/** The schema of a command's payload. @throws TidemarkError `unknown_command` */
export function commandOf(aggregate: AnyAggregate, name: string): z.ZodType {
  const schema = Object.hasOwn(aggregate.commands, name) ? aggregate.commands[name] : undefined;
  if (schema) return schema;
  const commands = Object.keys(aggregate.commands);
  throw new TidemarkError(
    'unknown_command',
    `${aggregate.name} has no such command; there are ${commands.join(', ')}`,
    { extra: { commands } },
  );
}

/** @throws TidemarkError `invalid_stream_id` */
export function checkStreamId(streamId: string): void {
  const fault = idFault(streamId);
  if (fault !== undefined) throw new TidemarkError('invalid_stream_id', `stream id: ${fault}`);
}
