/** A module as `--app` names one. */
import { operated } from './operated.js';

export default operated(1);
