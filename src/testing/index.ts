/** What a product team imports to test its domain code; works in any test runner. */
export { given } from './given.js';
export type { EventOf, ExpectedEvent, Given, GivenEvent, Outcome } from './given.js';
export { project } from './project.js';
export type { Projected, ProjectedEvent, ProjectOptions } from './project.js';
