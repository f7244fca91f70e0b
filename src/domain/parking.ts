/** What becomes of a row whose fold throws: the option `parking` of a projection. */
import { z } from 'zod';
import { DefinitionError } from './errors.js';
import { faultText } from './input.js';

const ParkingOptions = z.strictObject({
  attempts: z
    .int()
    .min(1)
    .max(100)
    .default(3)
    .describe('How often an event is folded before its row is parked.'),
  maxKeys: z
    .int()
    .min(1)
    .max(10_000)
    .default(100)
    .describe('Rows parked at once at the most; the shard of the next one halts.'),
  maxEvents: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(100_000)
    .describe('Events that wait behind parked rows at the most, all rows together; beyond it, shards halt.'),
});

/** Bounds of parking, with their defaults; false: a fold that throws halts its shard. */
export type Parking = Readonly<z.output<typeof ParkingOptions>> | false;
export type ParkingInput = z.input<typeof ParkingOptions> | false;

/** @throws DefinitionError with what was expected */
export function parkingOf(where: string, given: ParkingInput | undefined): Parking {
  if (given === false) return false;
  const parsed = ParkingOptions.safeParse(given ?? {});
  if (!parsed.success) throw new DefinitionError(`${where}: parking: ${faultText(parsed.error)}`);
  return Object.freeze(parsed.data);
}
