/** An order that moves to another column is another element: the focus goes along to its first button, or to itself. */
import { useLayoutEffect, useRef, type RefObject } from 'react';

/** @returns to be called with the number of an order that somebody has just acted on */
export function useKeptFocus(
  board: RefObject<HTMLElement | null>,
  trigger: unknown,
): (orderId: string) => void {
  const acted = useRef<string>(undefined);
  useLayoutEffect(() => {
    const orderId = acted.current;
    if (orderId === undefined) return;
    // Whoever went on to something else meanwhile is left there.
    if (document.activeElement !== document.body) return;
    acted.current = undefined;
    const card = board.current?.querySelector<HTMLElement>(`[data-order="${CSS.escape(orderId)}"]`);
    const button = card?.querySelector<HTMLElement>('button');
    (button ?? card)?.focus({ preventScroll: true });
    card?.scrollIntoView({ block: 'nearest' });
  }, [board, trigger]);
  return (orderId) => {
    acted.current = orderId;
  };
}
