/** How the rules of an application are typed from its own aggregates, projections and queries. Types only. */
import type { z } from 'zod';
import type { AnyAggregate } from './aggregate.js';
import type { AnyQuery } from './query.js';
import type { Authenticate, Claims, Principal, ScopeValue } from './rights.js';
import type { AnyReadModel } from './tables.js';

/** `true` and `false` for everyone, or a pure function that says it; nothing else counts as yes. */
type Rule<Call> = boolean | ((call: Call) => boolean);

type StateOf<A> = A extends { readonly $types?: { readonly state: infer S } } ? S : unknown;
type CommandsOf<A> = A extends { readonly $types?: { readonly commands: infer C } } ? C : never;
type InputOf<S> = S extends z.ZodType ? z.output<S> : unknown;
type InputsOf<Cm> = { [K in keyof Cm]: InputOf<Cm[K]> }[keyof Cm];
type RowOf<P> = P extends { readonly $types?: { readonly row: infer R } } ? R : never;

// By name and not by `as`: the compiler gives a function of a rule its types only through the former.
type NameOf<T extends readonly { readonly name: string }[]> = T[number]['name'];
type Named<T extends readonly { readonly name: string }[], N> = Extract<T[number], { readonly name: N }>;
/** Tables of a handler have no view. */
type ViewOf<P extends readonly AnyReadModel[]> = Extract<P[number], { readonly kind: 'projection' }>['name'];

interface Called<C, S, I> {
  readonly principal: Principal<C>;
  readonly streamId: string;
  readonly command: string;
  /** The payload as its schema gives it. */
  readonly input: I;
  /** The state that is decided on; of a stream without an event the initial one. */
  readonly state: S;
}

type CommandsRules<A, C> = {
  readonly [K in (keyof CommandsOf<A> & string) | '*']?: Rule<
    Called<C, StateOf<A>, K extends keyof CommandsOf<A> ? InputOf<CommandsOf<A>[K]> : InputsOf<CommandsOf<A>>>
  >;
};

type CommandRules<A extends readonly AnyAggregate[], C> = {
  readonly [N in NameOf<A>]?: CommandsRules<Named<A, N>, C>;
} & { readonly '*'?: Rule<Called<C, unknown, unknown>> };

type QueryRules<Q extends readonly AnyQuery[], C> = {
  readonly [N in NameOf<Q> | '*']?: Rule<{
    readonly principal: Principal<C>;
    readonly input: N extends '*' ? unknown : InputOf<Named<Q, N>['input']>;
  }>;
};

/** Fields of a row that a scope may hold still: texts, numbers and booleans. */
type ScopeOf<R> = boolean | { readonly [F in ScopeField<R>]?: Extract<R[F], ScopeValue> };
type ScopeField<R> = {
  [F in keyof R]-?: R[F] extends ScopeValue | undefined ? F : never;
}[keyof R];

type ViewRule<C, S> = boolean | ((call: { readonly principal: Principal<C> }) => S);

type ViewRules<P extends readonly AnyReadModel[], C> = {
  readonly [N in ViewOf<P>]?: ViewRule<C, ScopeOf<RowOf<Named<P, N>>>>;
} & { readonly '*'?: ViewRule<C, boolean | Readonly<Record<string, ScopeValue>>> };

type StreamRules<A extends readonly AnyAggregate[], C> = {
  readonly [N in NameOf<A> | '*']?: Rule<{
    readonly principal: Principal<C>;
    readonly streamId: string;
    /** As the stream is now, whatever of its history is asked for; of one without an event the initial one. */
    readonly state: N extends '*' ? unknown : StateOf<Named<A, N>>;
  }>;
};

/** Who may do what. A rule under a name goes before `*`; where there is neither, it is refused. */
export interface AuthRules<
  A extends readonly AnyAggregate[],
  P extends readonly AnyReadModel[],
  Q extends readonly AnyQuery[],
  C = Claims,
> {
  /** Who calls: `jwt({…})`, or a function of your own. */
  readonly authenticate: Authenticate<C>;
  /** Name of a cookie that may hold the token, for browsers. Absent: tokens come in headers and frames only. */
  readonly cookie?: string;
  /** Who callers without a token are. Absent: they are refused (401). */
  readonly anonymous?: { readonly id: string; readonly claims: NoInfer<C> };
  /** How often the token of an open socket is looked at again: milliseconds, 1,000 to a day; 60,000 unless told otherwise. */
  readonly recheckMs?: number;
  /** `aggregate` → `command` → rule, asked on the state that is decided on, before `decide`. */
  readonly commands?: CommandRules<A, NoInfer<C>>;
  /** `query` → rule, asked before the handler. */
  readonly queries?: QueryRules<Q, NoInfer<C>>;
  /** `projection` → the rows that are somebody’s, over HTTP and on the socket. */
  readonly views?: ViewRules<P, NoInfer<C>>;
  /** `aggregate` → who may read the events and states of its streams. */
  readonly streams?: StreamRules<A, NoInfer<C>>;
  /** Who may call `/ops/…`. */
  readonly operate?: Rule<{ readonly principal: Principal<NoInfer<C>> }>;
}
