/** The same application with a new version of its projection. */
import { operated } from './operated.js';

export default operated(2);
