/** As it was first deployed. */
import { invoices } from './invoices.js';

export default invoices(false);
