/** The application of the version change e2e with version 2 of its projection. */
import { appOf } from '../e2e/support/parcels.js';

export default appOf(2);
