/** What a product team imports to define an application. */
export { aggregate } from './domain/aggregate.js';
export type { Aggregate } from './domain/aggregate.js';
export { event } from './domain/events.js';
export { projection } from './domain/projection.js';
export type { Projection } from './domain/projection.js';
export { tables } from './domain/tables.js';
export type { Tables } from './domain/tables.js';
export { query } from './domain/query.js';
export type { Query } from './domain/query.js';
export { command, consume } from './domain/consume.js';
export type { AnyConsumer as Consumer, ConsumedRecord, SentCommand } from './domain/consume.js';
export { defineApp } from './domain/app.js';
export type { App } from './domain/app.js';
export { idText } from './domain/identifiers.js';
export { DefinitionError, DomainError } from './domain/errors.js';
export { jwt } from './rights/jwt/jwt.js';
export type { JwtOptions } from './rights/jwt/jwt.js';
export type { Authenticate, Claims, Credentials, Principal, RowScope } from './domain/rights.js';
