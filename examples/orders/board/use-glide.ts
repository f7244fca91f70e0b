/** Moves what changed its place from where it was to where it is (FLIP: first, last, invert, play). */
import { useLayoutEffect, useRef, type RefObject } from 'react';

interface Place {
  readonly x: number;
  readonly y: number;
}

const STILL = '(prefers-reduced-motion: reduce)';

/** @param trigger what the places depend on; looked at whenever it is another */
export function useGlide(board: RefObject<HTMLElement | null>, trigger: unknown): void {
  const places = useRef(new Map<string, Place>());
  useLayoutEffect(() => {
    const before = places.current;
    const now = new Map<string, Place>();
    const isStill = matchMedia(STILL).matches;
    for (const card of board.current?.querySelectorAll<HTMLElement>('[data-order]') ?? []) {
      const { left, top } = card.getBoundingClientRect();
      const place = { x: left + scrollX, y: top + scrollY };
      const id = card.dataset['order'] ?? '';
      now.set(id, place);
      const was = before.get(id);
      if (isStill || before.size === 0) continue;
      if (!was) {
        card.animate([{ opacity: 0, transform: 'scale(0.96)' }, {}], { duration: 200, easing: 'ease-out' });
      } else if (was.x !== place.x || was.y !== place.y) {
        const from = `translate(${was.x - place.x}px, ${was.y - place.y}px)`;
        card.animate([{ transform: from }, {}], { duration: 280, easing: 'cubic-bezier(0.2, 0, 0, 1)' });
      }
    }
    places.current = now;
  }, [board, trigger]);
}
