/** With the fold mended. */
import { invoices } from './invoices.js';

export default invoices(true);
