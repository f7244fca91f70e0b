/**
 * A live view in a component. Nothing is opened while React renders, which it may do and throw away: the subscription begins
 * when the component is on the page, and strict mode’s second beginning finds the first one, which lingers. All components
 * of one rendering read the same state, so that none shows another moment than its neighbour.
 */
import { useMemo, useSyncExternalStore } from 'react';
import type { AnyRow, Named } from '../app-types.js';
import { NOT_YET, type LiveState } from '../live/live-view.js';
import { requestOf, type Wanted } from '../live/request.js';
import { useClient } from './context.js';
import type { LiveOptions } from './types.js';

const idle = (): (() => void) => () => undefined;
const notYet = (): LiveState<AnyRow> => NOT_YET;

export function useLive(
  view: Named<string>,
  wanted: Wanted | null = {},
  { initial }: LiveOptions<AnyRow> = {},
): LiveState<AnyRow> {
  const client = useClient();
  const name = typeof view === 'string' ? view : view.name;
  const asked = wanted === null ? undefined : requestOf(name, wanted);
  const store = useMemo(() => {
    if (!asked) return { subscribe: idle, getSnapshot: notYet, hasBegun: () => false };
    const { view: _view, ...request } = asked.request;
    let begun = false;
    return {
      /** There were rows, or there will be none, or the caller is another one: what was shown until then has had its time, also where rows are dropped. */
      hasBegun: () => begun,
      subscribe(listener: () => void): () => void {
        const live = client.live(name, request);
        const unsubscribe = live.subscribe(listener);
        const forget = client.onRenew(() => (begun = true));
        return () => {
          forget();
          unsubscribe();
          live.close();
        };
      },
      getSnapshot() {
        const state = client.peek(name, request);
        begun ||= state.status !== 'connecting';
        return state;
      },
    };
    // The id says all of the request, which is another object each time.
  }, [client, name, asked?.id]);
  const state = useSyncExternalStore(store.subscribe, store.getSnapshot, notYet);
  return useMemo(
    () => (initial !== undefined && !store.hasBegun() ? { ...state, rows: initial } : state),
    [state, initial, store],
  );
}
