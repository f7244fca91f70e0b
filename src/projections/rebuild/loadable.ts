/** Which projections a loader can build. */
import { hasParts } from '../../domain/parts.js';
import type { AnyProjection } from '../../domain/projection.js';

/** Rows that are made of parts of several streams are not loaded yet: such a version follows its events from the first. */
export const isLoadable = (projection: AnyProjection): boolean => !hasParts(projection);
