/** The headers of a dead letter: beside those of the record, why it is there and where it stood. */
import { DomainError } from '../domain/errors.js';
import type { ForeignRecord } from '../broker/ports.js';
import { isTidemarkError, messageOf } from '../platform/errors.js';

/** Longer texts are cut: brokers bound a record as a whole. */
const MAX_TEXT = 1_000;
const MAX_FAULTS = 5;

/** A record that cannot become commands. */
export interface Death {
  readonly code: string;
  /** One line; it may name what stands in the record, which is in the dead letter anyway. */
  readonly reason: string;
  /** Times that it was tried. */
  readonly attempts: number;
}

/** One line of at most `MAX_TEXT` characters; an attribute of a CloudEvent has no control characters. */
function oneLine(text: string): string {
  const line = text.replaceAll(/\p{Cc}+/gu, ' ').trim();
  return line.length <= MAX_TEXT ? line : `${line.slice(0, MAX_TEXT - 1).toWellFormed()}…`;
}

/** What was thrown, as an operator should read it: code, sentence, and the first faults. */
export function deathOf(thrown: unknown, attempts: number, where?: string): Death {
  const known = isTidemarkError(thrown) || thrown instanceof DomainError;
  const code = known ? thrown.code : 'handler_failed';
  const faults = (isTidemarkError(thrown) ? (thrown.faults ?? []) : [])
    .slice(0, MAX_FAULTS)
    .map(({ path, message }) => `${path || '(root)'}: ${message}`);
  const told = [where, messageOf(thrown), faults.join('; ')].filter((part) => part).join(': ');
  return { code, reason: oneLine(told), attempts };
}

export const lettersHeaders = (
  consumer: string,
  { topic, partition, offset }: ForeignRecord,
  { code, reason, attempts }: Death,
): Readonly<Record<string, string>> => ({
  ce_consumer: consumer,
  ce_error: reason === '' ? code : reason,
  ce_errorcode: code,
  ce_attempts: String(attempts),
  ce_topic: topic,
  ce_partition: String(partition),
  ce_offset: String(offset),
});
