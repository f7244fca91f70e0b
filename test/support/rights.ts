/** Rights for tests of rooms that ask them: off, as `auth: 'none'` has them. */
import { silentLogger } from '../../src/platform/logger.js';
import { ANONYMOUS, createGuard, type Guard } from '../../src/rights/guard.js';
import type { CallerOf } from '../../src/rights/http.js';

export const everyone = ANONYMOUS;

export const rightsOff: { readonly guard: Guard; readonly callerOf: CallerOf } = {
  guard: createGuard({ auth: 'none' }, { logger: silentLogger }),
  callerOf: () => ANONYMOUS,
};
