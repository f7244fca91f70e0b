/** What a product team imports to test its domain code; works in any test runner. */
export { given } from './given.js';
export type { EventOf, ExpectedEvent, Given, GivenEvent, Outcome } from './given.js';
export { consumed } from './consumed.js';
export type { Consumed, TestRecord } from './consumed.js';
export { project } from './project.js';
export type { Projected, ProjectedEvent, ProjectOptions } from './project.js';
export { ProblemError } from './http-client.js';
export type { LiveChange, SubscribeTo, Subscription } from './subscription.js';
export { testApp } from './test-app.js';
export type { Actor } from './acting.js';
export type { ExecuteOptions, Executed, RowsOptions, TestApp, TestAppOptions } from './test-app.js';
