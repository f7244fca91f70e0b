/**
 * Reads a record of another system: a CloudEvent in binary or structured mode, or plain JSON. The CloudEvents Kafka
 * binding 1.0.2 tells the modes apart (https://github.com/cloudevents/spec).
 */
import type { ForeignRecord } from '../broker/ports.js';
import type { ConsumedRecord } from '../domain/consume.js';
import { messageOf, TidemarkError } from '../platform/errors.js';

/** What a record holds, and what it says of where it comes from. */
export interface Taken {
  readonly record: ConsumedRecord;
  /** CloudEvents attributes by name, extensions too; undefined where it is no CloudEvent. */
  readonly attributes: Readonly<Record<string, string>> | undefined;
}

const PREFIX = 'ce_';
const STRUCTURED = 'application/cloudevents';
/** `application/json`, `text/json` and everything that ends with `+json`, parameters aside. */
const JSON_TYPE = /^(application|text)\/json$|\+json$/;
/** Attributes that each CloudEvent has (CloudEvents 1.0, "REQUIRED Attributes"). */
const REQUIRED = ['specversion', 'id', 'source', 'type'] as const;

const unreadable = (message: string): TidemarkError => new TidemarkError('unreadable_record', message);

/** Without its parameters, in lower case. */
const mediaType = (contentType: string): string => contentType.split(';', 1)[0]?.trim().toLowerCase() ?? '';

/** Headers as texts, by names in lower case; of a header that stands there twice the last, as Kafka’s own clients do. */
function headerTexts(headers: ForeignRecord['headers']): Readonly<Record<string, string>> {
  const entries = Object.entries(headers).flatMap(([name, value]) => {
    const last = Array.isArray(value) ? value.at(-1) : value;
    return last === undefined ? [] : [[name.toLowerCase(), last.toString('utf8')] as const];
  });
  return Object.fromEntries(entries);
}

function textOf(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw unreadable('the value is no UTF-8');
  }
}

function jsonOf(bytes: Buffer): unknown {
  const text = textOf(bytes);
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw unreadable(`the value is no JSON: ${messageOf(error)}`);
  }
}

/** The value as JSON; null where there is none, as a compacted topic has it for what was deleted. */
function dataOf(value: Buffer | null, contentType: string | undefined): unknown {
  if (value === null) return null;
  const type = contentType === undefined ? '' : mediaType(contentType);
  if (type !== '' && !JSON_TYPE.test(type))
    throw unreadable(`expected JSON, and its content type is ${type}`);
  return jsonOf(value);
}

function checkedAttributes(attributes: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const missing = REQUIRED.filter((name) => !attributes[name]);
  if (missing.length > 0) throw unreadable(`a CloudEvent without ${missing.join(', ')}`);
  if (!attributes['specversion']?.startsWith('1.'))
    throw unreadable(`a CloudEvent of version ${attributes['specversion']}: expected 1.0`);
  return attributes;
}

function binaryAttributes(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const entries = Object.entries(headers)
    .filter(([name]) => name.startsWith(PREFIX))
    .map(([name, value]) => [name.slice(PREFIX.length), value] as const);
  return checkedAttributes(Object.fromEntries(entries));
}

interface Envelope {
  readonly attributes: Readonly<Record<string, string>>;
  readonly data: unknown;
}

function structured(value: Buffer | null, type: string): Envelope {
  if (type !== `${STRUCTURED}+json`) throw unreadable(`expected ${STRUCTURED}+json, and it is ${type}`);
  const envelope = value === null ? null : jsonOf(value);
  if (typeof envelope !== 'object' || envelope === null || Array.isArray(envelope))
    throw unreadable('a structured CloudEvent that is no JSON object');
  const entries = Object.entries(envelope).flatMap(([name, member]) =>
    ['string', 'number', 'boolean'].includes(typeof member) ? [[name, String(member)] as const] : [],
  );
  const attributes = checkedAttributes(Object.fromEntries(entries.filter(([name]) => name !== 'data')));
  if ('data_base64' in envelope) {
    const bytes = Buffer.from(String(envelope.data_base64), 'base64');
    return { attributes, data: dataOf(bytes, attributes['datacontenttype']) };
  }
  const type1 = attributes['datacontenttype'];
  if (type1 !== undefined && !JSON_TYPE.test(mediaType(type1)))
    throw unreadable(`expected JSON, and its content type is ${mediaType(type1)}`);
  return { attributes, data: 'data' in envelope ? envelope.data : null };
}

function envelopeOf(
  { value }: ForeignRecord,
  headers: Readonly<Record<string, string>>,
): { readonly attributes: Envelope['attributes'] | undefined; readonly data: unknown } {
  const contentType = headers['content-type'];
  const type = contentType === undefined ? '' : mediaType(contentType);
  if (type.startsWith(STRUCTURED)) return structured(value, type);
  const attributes = `${PREFIX}specversion` in headers ? binaryAttributes(headers) : undefined;
  return { attributes, data: dataOf(value, contentType) };
}

/** Where a record stands; also the id of one that has none of its own. */
export const positionOf = ({ topic, partition, offset }: ForeignRecord): string =>
  `${topic}/${partition}/${offset}`;

/** @throws TidemarkError `unreadable_record`, which says what was expected */
export function takeIn(foreign: ForeignRecord): Taken {
  const headers = headerTexts(foreign.headers);
  const { attributes, data } = envelopeOf(foreign, headers);
  const { topic, partition, offset, key } = foreign;
  const place = { topic, partition, offset, key: key?.toString('utf8') ?? null, headers };
  if (attributes === undefined) return { attributes, record: { ...place, data, id: positionOf(foreign) } };
  const { id, source, type, subject, time } = attributes;
  // `id` is there, as it was checked; the compiler knows names only.
  return { attributes, record: { ...place, data, id: id ?? '', source, type, subject, time } };
}
