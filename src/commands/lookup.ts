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
  const known = app.aggregates.map((one) => one.name);
  throw new TidemarkError('unknown_aggregate', `there is no such aggregate; there are ${known.join(', ')}`, {
    extra: { known },
  });
}

/** The schema of a command's payload. @throws TidemarkError `unknown_command` */
export function commandOf(aggregate: AnyAggregate, name: string): z.ZodType {
  const schema = Object.hasOwn(aggregate.commands, name) ? aggregate.commands[name] : undefined;
  if (schema) return schema;
  const known = Object.keys(aggregate.commands);
  throw new TidemarkError(
    'unknown_command',
    `${aggregate.name} has no such command; there are ${known.join(', ')}`,
    { extra: { known } },
  );
}

/** @throws TidemarkError `invalid_stream_id` */
export function checkStreamId(streamId: string): void {
  const fault = idFault(streamId);
  if (fault === undefined) return;
  const faults = [{ path: '/id', message: fault }];
  throw new TidemarkError('invalid_stream_id', `stream id: ${fault}`, { faults });
}
