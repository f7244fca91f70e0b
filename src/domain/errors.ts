/** What the domain room throws. `code` is stable; the edges turn it into answers. */

/** A definition that cannot work: thrown while the application is put together, never later. */
export class DefinitionError extends Error {
  override readonly name = 'DefinitionError';
  readonly code = 'invalid_definition';
}

export type DomainErrorCode =
  'needs_newer_code' | 'event_unreadable' | 'invalid_emit' | 'invalid_row' | 'invalid_command';

/** Domain code or stored data broke a rule of its own definition. */
export class DomainError extends Error {
  override readonly name = 'DomainError';
  readonly code: DomainErrorCode;

  constructor(code: DomainErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}
