/** What a client may say and gets back, read from the type of an application: nobody writes a type twice. */
import type { z } from 'zod';
import type { AnyApp } from '../domain/app.js';

type Aggregates<A extends AnyApp> = A['aggregates'][number];
type Views<A extends AnyApp> = Extract<A['projections'][number], { readonly kind: 'projection' }>;
type Queries<A extends AnyApp> = A['queries'][number];
/** Of an application whose type is not known, anything may have the name. */
type Of<T extends { readonly name: string }, N extends string> = string extends T['name']
  ? T
  : Extract<T, { readonly name: N }>;

/** A thing of the application by its name, or by its definition. */
export type Named<N extends string> = N | { readonly name: N };

type CommandsOf<T> = T extends { readonly $types?: { readonly commands: infer C } } ? C : unknown;

export type AggregateName<A extends AnyApp> = Aggregates<A>['name'];
/** An application of unknown type has any commands. */
export type CommandName<A extends AnyApp, N extends string> =
  unknown extends CommandsOf<Of<Aggregates<A>, N>> ? string : keyof CommandsOf<Of<Aggregates<A>, N>> & string;
export type CommandInput<A extends AnyApp, N extends string, K> =
  CommandsOf<Of<Aggregates<A>, N>> extends infer C
    ? unknown extends C
      ? unknown
      : K extends keyof C
        ? C[K] extends z.ZodType
          ? z.input<C[K]>
          : never
        : never
    : never;

/** A row of a view whose type is not known. */
export type AnyRow = Readonly<Record<string, unknown>>;

export type ViewName<A extends AnyApp> = Views<A>['name'];
type RowIn<V> = V extends { readonly $types?: { readonly row: infer R } }
  ? unknown extends R
    ? AnyRow
    : R
  : AnyRow;
/** View → row. An object type, not a condition: by it the compiler knows what a callback is to give. */
type Rows<A extends AnyApp> = { [V in Views<A> as V['name']]: RowIn<V> };
export type RowOf<A extends AnyApp, N extends ViewName<A>> = Rows<A>[N];

export type QueryName<A extends AnyApp> = Queries<A>['name'];
export type QueryInput<A extends AnyApp, N extends string> = z.input<Of<Queries<A>, N>['input']>;
export type QueryOutput<A extends AnyApp, N extends string> = z.output<Of<Queries<A>, N>['output']>;

type Scalar = string | number | boolean;
/** Fields that can be columns to filter and sort by. */
type Column<R> = string extends keyof R
  ? string
  : { [F in keyof R]-?: NonNullable<R[F]> extends Scalar ? F : never }[keyof R] & string;

/** Equality: field → value. Over HTTP on the key, indexed and channel fields; live on exactly one declared channel. */
export type Where<R> = string extends keyof R
  ? Readonly<Record<string, Scalar | null>>
  : { readonly [F in Column<R> & keyof R]?: Exclude<R[F], undefined> };

type SortField<R> = Column<R> | `-${Column<R>}`;
/** Fields in their order, `-` before one that falls. */
export type Sort<R> = SortField<R> | readonly SortField<R>[];
