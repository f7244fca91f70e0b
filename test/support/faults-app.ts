/** The module of the application that the fault tests run; its name is given, as topics and groups are named by it. */
import { appNamed, NAME_VARIABLE } from '../fault/kafka/app.js';

export default appNamed(process.env[NAME_VARIABLE] ?? 'faults');
