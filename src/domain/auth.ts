/** Checks what `defineApp` was given as `auth`, and makes of it rules that are looked up by name. */
import type { AnyAggregate } from './aggregate.js';
import { lookup } from './decider.js';
import { DefinitionError } from './errors.js';
import { principalFault } from './identifiers.js';
import type { AnyQuery } from './query.js';
import type { AppAuth, Authenticate, ErasedRule, Principal, Rights } from './rights.js';
import type { AnyReadModel } from './tables.js';

interface Parts {
  readonly aggregates: readonly AnyAggregate[];
  readonly views: readonly AnyReadModel[];
  readonly queries: readonly AnyQuery[];
}

const DEFAULT_RECHECK_MS = 60_000;
const MIN_RECHECK_MS = 1_000;
const MAX_RECHECK_MS = 24 * 3_600_000;
/** RFC 6265: a token of RFC 2616. */
const COOKIE_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const KNOWN = [
  'authenticate',
  'cookie',
  'anonymous',
  'recheckMs',
  'commands',
  'queries',
  'views',
  'streams',
  'operate',
];

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(where: string, given: unknown): Fields {
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) return given as Fields; // read by name
  throw new DefinitionError(`${where}: expected an object, name → rule`);
}

function noOthers(where: string, given: Fields, known: readonly string[]): void {
  const unknown = Object.keys(given).filter((name) => !known.includes(name));
  if (unknown.length > 0)
    throw new DefinitionError(`${where}: unknown ${unknown.join(', ')}; known are ${known.join(', ')}`);
}

/** Typed where it is written (rules.ts), and what it answers is checked each time. */
const isRule = <Call>(given: unknown): given is ErasedRule<Call> =>
  typeof given === 'boolean' || typeof given === 'function';

/** Rules by name; a name of its own goes before `*`, and what is neither is refused. */
function rulesOf<Call>(
  where: string,
  given: unknown,
  names: readonly string[],
): (name: string) => ErasedRule<Call> {
  const rules = lookup(fieldsOf(where, given ?? {}));
  noOthers(where, rules, [...names, '*']);
  for (const [name, rule] of Object.entries(rules)) {
    if (rule !== undefined && !isRule(rule))
      throw new DefinitionError(`${where}.${name}: expected a function, true or false`);
  }
  return (name) => {
    const rule = rules[name] ?? rules['*'];
    return isRule(rule) ? rule : false;
  };
}

function commandRules(where: string, given: unknown, aggregates: readonly AnyAggregate[]): Rights['command'] {
  const { '*': others, ...named } = fieldsOf(where, given ?? {});
  const fallback = rulesOf(where, { '*': others }, []);
  const names = aggregates.map(({ name }) => name);
  noOthers(where, named, names);
  const byAggregate = new Map(
    aggregates.flatMap(({ name, commands }) => {
      const of = named[name];
      if (of === undefined) return [];
      const own = fieldsOf(`${where}.${name}`, of);
      const all = { ...own, '*': own['*'] ?? others };
      return [[name, rulesOf(`${where}.${name}`, all, Object.keys(commands))] as const];
    }),
  );
  return (aggregate, command) => (byAggregate.get(aggregate) ?? fallback)(command);
}

function anonymousOf(where: string, given: unknown): Principal | undefined {
  if (given === undefined) return undefined;
  const { id, claims, ...more } = fieldsOf(where, given);
  noOthers(where, more, ['id', 'claims']);
  const fault = typeof id === 'string' ? principalFault(id) : 'expected a text';
  if (typeof id !== 'string' || fault !== undefined) throw new DefinitionError(`${where}.id: ${fault ?? ''}`);
  return Object.freeze({ id, claims: Object.freeze({ ...fieldsOf(`${where}.claims`, claims) }) });
}

function cookieOf(where: string, given: unknown): string | undefined {
  if (given === undefined) return undefined;
  if (typeof given === 'string' && given.length <= 100 && COOKIE_NAME.test(given)) return given;
  throw new DefinitionError(`${where}: expected the name of a cookie, as RFC 6265 has it`);
}

function recheckOf(where: string, given: unknown): number {
  if (given === undefined) return DEFAULT_RECHECK_MS;
  if (typeof given === 'number' && given >= MIN_RECHECK_MS && given <= MAX_RECHECK_MS) return given;
  throw new DefinitionError(`${where}: expected milliseconds, ${MIN_RECHECK_MS} to ${MAX_RECHECK_MS}`);
}

function operateOf(where: string, given: unknown): Rights['operate'] {
  if (given === undefined) return false;
  if (isRule(given)) return given;
  throw new DefinitionError(`${where}: expected a function, true or false`);
}

/**
 * Off only when that is said: an application that forgot its rights does not begin, nor does one with a rule for what it
 * does not have, as the rule that was meant would be missing.
 * @throws DefinitionError with what was expected
 */
export function authFrom(app: string, given: unknown, parts: Parts): AppAuth {
  if (given === 'none') return given;
  const where = `${app}: auth`;
  if (typeof given !== 'object' || given === null)
    throw new DefinitionError(`${where}: expected 'none', or { authenticate, commands, views, … }`);
  const fields = fieldsOf(where, given);
  noOthers(where, fields, KNOWN);
  const { authenticate } = fields;
  if (typeof authenticate !== 'function')
    throw new DefinitionError(`${where}.authenticate: expected jwt({ … }), or a function of your own`);
  const aggregates = parts.aggregates.map(({ name }) => name);
  return Object.freeze({
    // What it answers is checked each time (rights/guard.ts).
    authenticate: authenticate as Authenticate,
    cookie: cookieOf(`${where}.cookie`, fields['cookie']),
    anonymous: anonymousOf(`${where}.anonymous`, fields['anonymous']),
    recheckMs: recheckOf(`${where}.recheckMs`, fields['recheckMs']),
    operate: operateOf(`${where}.operate`, fields['operate']),
    command: commandRules(`${where}.commands`, fields['commands'], parts.aggregates),
    query: rulesOf(
      `${where}.queries`,
      fields['queries'],
      parts.queries.map(({ name }) => name),
    ),
    view: rulesOf(
      `${where}.views`,
      fields['views'],
      parts.views.map(({ name }) => name),
    ),
    stream: rulesOf(`${where}.streams`, fields['streams'], aggregates),
  });
}
