/**
 * What stands on the wire: names of topics, and entries of logs as Kafka records, CloudEvents 1.0 in binary mode (DESIGN §4).
 * What is read is looked at before it is believed: anyone may write into a topic.
 */
import type { EventMetadata, StoredEvent, Tags } from '../../domain/events.js';
import { messageOf } from '../../platform/errors.js';
import type { ChangeEntry, ChannelValue } from '../../projections/types.js';
import type {
  OutgoingChange,
  OutgoingDeadLetter,
  OutgoingEntry,
  OutgoingEvent,
  PublishedLog,
  Tail,
} from '../ports.js';

/** Topic of a log: `<app>.<category>`, `<app>.<projection>.v<version>.changes` or `<app>.<projection>.dead-letters`. */
export function topicOf(app: string, log: PublishedLog): string {
  if (log.kind === 'events') return eventsTopic(app, log.log);
  if (log.kind === 'dead-letters') return deadLettersTopic(app, log.projection);
  return changesTopic(app, log.projection, log.version);
}

export const eventsTopic = (app: string, category: string): string => `${app}.${category}`;
export const changesTopic = (app: string, projection: string, version: number): string =>
  `${app}.${projection}.v${version}.changes`;
/** @param of a projection, or the topic of another system that commands are made of */
export const deadLettersTopic = (app: string, of: string): string => `${app}.${of}.dead-letters`;

/** A record as it goes out; header names and values are texts, UTF-8 on the wire. */
export interface OutgoingRecord {
  readonly key: string | Buffer | null;
  readonly value: string | Buffer | null;
  readonly headers: Readonly<Record<string, string>>;
}

type HeaderValue = Buffer | string | null | undefined;

/** A record as a consumer gives it; what kafkajs calls `KafkaMessage` fits. */
export interface IncomingRecord {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** A name that came twice has a list of values. */
  readonly headers?: Readonly<Record<string, HeaderValue | HeaderValue[]>> | undefined;
}

/** Headers without those that would be empty: CloudEvents knows no empty attribute. */
const filled = (headers: Readonly<Record<string, string | undefined>>): Record<string, string> => {
  const kept: Record<string, string> = {};
  for (const name in headers) {
    const value = headers[name];
    if (value !== undefined && value !== '') kept[name] = value;
  }
  return kept;
};

function encodeEvent(app: string, event: OutgoingEvent): OutgoingRecord {
  const { metadata, category, streamId } = event;
  return {
    key: streamId,
    value: event.data,
    headers: filled({
      ce_specversion: '1.0',
      ce_id: event.eventId,
      ce_source: `/${app}/${category}`,
      ce_type: `${category}.${event.type}`,
      ce_subject: streamId,
      ce_time: event.recordedAt,
      'content-type': 'application/json',
      ce_seq: String(event.seq),
      ce_epoch: event.epoch,
      ce_partitionkey: streamId,
      ce_streamversion: String(event.version),
      ce_schemaversion: String(event.schemaVersion),
      ce_correlationid: metadata.correlationId,
      ce_causationid: metadata.causationId,
      ce_actor: metadata.actor,
      ce_traceparent: metadata.traceparent,
      ce_tags: event.tags === '{}' ? undefined : event.tags,
    }),
  };
}

function encodeChange(app: string, change: OutgoingChange): OutgoingRecord {
  return {
    key: change.key,
    value: change.row,
    headers: filled({
      ce_specversion: '1.0',
      ce_id: changeId(change.log, change.shard, change.seq),
      ce_source: `/${app}/${change.projection}`,
      ce_type: `${change.projection}.changed`,
      ce_subject: change.key,
      ce_time: change.recordedAt,
      'content-type': 'application/json',
      ce_seq: String(change.seq),
      ce_epoch: change.epoch,
      ce_partitionkey: change.key,
      ce_beforechannels: change.before ?? undefined,
    }),
  };
}

/** `ce_id` of a change. */
const changeId = (log: string, shard: number, seq: number): string => `${log}/${shard}/${seq}`;

/** The event as it was published, with what went wrong. */
function encodeDeadLetter(app: string, letter: OutgoingDeadLetter): OutgoingRecord {
  const { key, value, headers } = encodeEvent(app, letter.event);
  return {
    key,
    value,
    headers: {
      ...headers,
      ce_projection: letter.projection,
      ce_error: letter.error === '' ? 'unknown' : letter.error,
      ce_attempts: String(letter.attempts),
    },
  };
}

export function encodeEntry(app: string, entry: OutgoingEntry): OutgoingRecord {
  if (entry.kind === 'event') return encodeEvent(app, entry);
  return entry.kind === 'change' ? encodeChange(app, entry) : encodeDeadLetter(app, entry);
}

/** Thrown inside of this file only: what was expected of a record and not found. */
class Unreadable extends Error {}

const wanted = (expected: string, found: unknown): never => {
  const text = typeof found === 'string' ? JSON.stringify(found.slice(0, 100)) : String(found);
  throw new Unreadable(`expected ${expected}, found ${text}`);
};

class Headers {
  readonly #headers: NonNullable<IncomingRecord['headers']>;

  constructor(record: IncomingRecord) {
    this.#headers = record.headers ?? {};
  }

  /** Undefined where there is none. A header of ours never stands twice. */
  find(name: string): string | undefined {
    const value = Object.hasOwn(this.#headers, name) ? this.#headers[name] : undefined;
    if (value === undefined || value === null) return undefined;
    if (Array.isArray(value)) return wanted(`one header ${name}`, `${value.length} of them`);
    return typeof value === 'string' ? value : value.toString('utf8');
  }

  text(name: string): string {
    const value = this.find(name);
    return value === undefined || value === '' ? wanted(`a header ${name}`, value ?? 'none') : value;
  }

  /** A whole number from 1. */
  count(name: string): number {
    const text = this.text(name);
    const value = /^[1-9]\d{0,15}$/.test(text) ? Number(text) : Number.NaN;
    return Number.isSafeInteger(value) ? value : wanted(`a whole number from 1 as ${name}`, text);
  }

  epoch(): string {
    const text = this.text('ce_epoch');
    return /^[0-9a-z]{1,40}$/.test(text) ? text : wanted('an epoch of 0–9 and a–z as ce_epoch', text);
  }

  exactly(name: string, expected: string): void {
    const found = this.find(name);
    if (found !== expected) wanted(`${name} ${JSON.stringify(expected)}`, found ?? 'none');
  }
}

function parsed(what: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    return wanted(`JSON as ${what}`, messageOf(error));
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isTags = (value: unknown): value is Tags =>
  isObject(value) && Object.values(value).every((one) => typeof one === 'string');

const isChannels = (value: unknown): value is Readonly<Record<string, ChannelValue>> =>
  isObject(value) &&
  Object.values(value).every((one) => one === null || ['string', 'number', 'boolean'].includes(typeof one));

function time(headers: Headers): string {
  const text = headers.text('ce_time');
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text)
    ? text
    : wanted('an ISO time in UTC with milliseconds as ce_time', text);
}

const NO_TAGS: Tags = Object.freeze({});

function tagsOf(headers: Headers): Tags {
  const text = headers.find('ce_tags');
  if (text === undefined) return NO_TAGS;
  const value = parsed('ce_tags', text);
  return isTags(value) ? value : wanted('an object of texts as ce_tags', text);
}

function metadataOf(headers: Headers): EventMetadata {
  const traceparent = headers.find('ce_traceparent');
  return {
    correlationId: headers.find('ce_correlationid') ?? '',
    causationId: headers.find('ce_causationid') ?? '',
    actor: headers.find('ce_actor') ?? '',
    ...(traceparent === undefined ? {} : { traceparent }),
  };
}

/** The subject, which is the key too: readers of Kafka go by the key. */
function subject(headers: Headers, record: IncomingRecord): string {
  const text = headers.text('ce_subject');
  const key = record.key?.toString('utf8');
  return key === text ? text : wanted(`the key ${JSON.stringify(text)}`, key ?? 'none');
}

export interface Decoded<E> {
  readonly kind: 'entry';
  readonly seq: number;
  readonly epoch: string;
  /** `ce_id`. */
  readonly id: string;
  readonly entry: E;
}

/** No record of ours, or not of this log; `why` tells what was expected. */
export interface Foreign {
  readonly kind: 'foreign';
  readonly why: string;
}

function reading<T>(read: () => T): T | Foreign {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    return { kind: 'foreign', why: error.message };
  }
}

/** What a record says of its place in its log, without a look at the rest; undefined when it is no record of ours. */
export function headOf(record: IncomingRecord): Tail | undefined {
  const read = reading(() => {
    const headers = new Headers(record);
    const [seq, epoch, id] = [headers.count('ce_seq'), headers.epoch(), headers.text('ce_id')];
    return { seq, epoch, id, time: time(headers) };
  });
  return 'kind' in read ? undefined : read;
}

export interface EventsSource {
  readonly app: string;
  readonly category: string;
}

/** @param shard the record’s partition */
export function decodeEvent(
  source: EventsSource,
  shard: number,
  record: IncomingRecord,
): Decoded<StoredEvent> | Foreign {
  return reading(() => {
    const headers = new Headers(record);
    const { app, category } = source;
    headers.exactly('ce_specversion', '1.0');
    headers.exactly('ce_source', `/${app}/${category}`);
    const type = headers.text('ce_type');
    if (!type.startsWith(`${category}.`) || type.length === category.length + 1)
      wanted(`a type of ${category} as ce_type`, type);
    const [seq, epoch, id] = [headers.count('ce_seq'), headers.epoch(), headers.text('ce_id')];
    const entry: StoredEvent = {
      eventId: id,
      category,
      shard,
      seq,
      streamId: subject(headers, record),
      version: headers.count('ce_streamversion'),
      type: type.slice(category.length + 1),
      schemaVersion: headers.count('ce_schemaversion'),
      data: parsed('value', record.value?.toString('utf8') ?? wanted('a value', 'none')),
      tags: tagsOf(headers),
      metadata: metadataOf(headers),
      recordedAt: time(headers),
    };
    return { kind: 'entry', seq, epoch, id, entry };
  });
}

export interface ChangesSource {
  readonly app: string;
  readonly projection: string;
  /** Name of the change log. */
  readonly log: string;
}

/** @param shard the record’s partition */
export function decodeChange(
  source: ChangesSource,
  shard: number,
  record: IncomingRecord,
): Decoded<ChangeEntry> | Foreign {
  return reading(() => {
    const headers = new Headers(record);
    const { app, projection, log } = source;
    headers.exactly('ce_specversion', '1.0');
    headers.exactly('ce_source', `/${app}/${projection}`);
    headers.exactly('ce_type', `${projection}.changed`);
    const [seq, epoch] = [headers.count('ce_seq'), headers.epoch()];
    const id = changeId(log, shard, seq);
    headers.exactly('ce_id', id);
    const row = record.value?.toString('utf8') ?? null;
    // Looked at, as subscribers get the text as it is.
    if (row !== null && !isObject(parsed('value', row))) wanted('an object or nothing as value', row);
    const before = headers.find('ce_beforechannels');
    const channels = before === undefined ? null : parsed('ce_beforechannels', before);
    if (channels !== null && !isChannels(channels))
      return wanted('an object of plain values as ce_beforechannels', before);
    const entry: ChangeEntry = {
      log,
      shard,
      epoch,
      seq,
      key: subject(headers, record),
      before: channels,
      row,
      recordedAt: time(headers),
    };
    return { kind: 'entry', seq, epoch, id, entry };
  });
}
