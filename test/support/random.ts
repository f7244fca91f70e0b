/** Random choices that a seed gives again. */
import { seeded } from '../../src/testing/interleavings.js';

/** Whole numbers from 0 to below what is asked for. */
export function randomFrom(seed: number): (below: number) => number {
  const next = seeded(seed);
  return (below) => Math.floor(next() * below);
}
