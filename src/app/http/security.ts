/** How callers show who they are, as OpenAPI has it. */
import type { AppAuth } from '../../domain/rights.js';
import type { Security } from './openapi.js';

/** @returns undefined where rights are off */
export function securityOf(auth: AppAuth): Security | undefined {
  if (auth === 'none') return undefined;
  const { cookie, anonymous } = auth;
  return {
    schemes: {
      bearer: { type: 'http', scheme: 'bearer', description: 'A token in `Authorization: Bearer`.' },
      ...(cookie === undefined ? {} : { cookie: { type: 'apiKey', in: 'cookie', name: cookie } }),
    },
    requirements: [
      { bearer: [] },
      ...(cookie === undefined ? [] : [{ cookie: [] }]),
      // Without anything: whoever calls is the application’s `anonymous`.
      ...(anonymous ? [{}] : []),
    ],
  };
}
