/** The answer to a named query in a component: one call at a time, of which only the last one’s answer counts. */
import { useCallback, useEffect, useState } from 'react';
import type { Named } from '../app-types.js';
import { isClientError, type ClientError } from '../errors.js';
import { useClient } from './context.js';
import type { QueryHook, QueryOptions } from './types.js';

/** What came of which call. */
interface Answer {
  /** Query, input and caller. */
  readonly of: string;
  /** The call, of which `of` may have several. */
  readonly call: string;
  readonly data: unknown;
  readonly error: ClientError | undefined;
}

export function useQuery(
  query: Named<string>,
  input: unknown,
  { after, initial }: QueryOptions<unknown> = {},
): QueryHook<unknown> {
  const client = useClient();
  const name = typeof query === 'string' ? query : query.name;
  const isAsked = input !== null;
  const [round, setRound] = useState(0);
  // What another caller has read is not this one's to see.
  const [caller, setCaller] = useState(0);
  useEffect(() => client.onRenew(() => setCaller((before) => before + 1)), [client]);
  const of = JSON.stringify([name, input, caller]);
  const [first] = useState(of);
  const call = JSON.stringify([of, after, round]);
  const [answer, setAnswer] = useState<Answer>();
  useEffect(() => {
    if (!isAsked) return;
    const end = new AbortController();
    const options = { signal: end.signal, ...(after === undefined ? {} : { after }) };
    client.query(name, input, options).then(
      (data: unknown) => {
        if (!end.signal.aborted) setAnswer({ of, call, data, error: undefined });
      },
      (error: unknown) => {
        if (end.signal.aborted) return;
        if (!isClientError(error)) throw error;
        setAnswer((last) => ({ of, call, data: last?.of === of ? last.data : undefined, error }));
      },
    );
    return () => end.abort();
    // `call` says all of name, input and `after`, which may be other objects each time.
  }, [client, isAsked, call]);
  const known = answer?.of === of ? answer : undefined;
  return {
    data: !answer && of === first ? initial : known?.data,
    error: known?.error,
    isLoading: isAsked && known?.call !== call,
    refresh: useCallback(() => setRound((before) => before + 1), []),
  };
}
