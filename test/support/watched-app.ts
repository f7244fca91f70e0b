/** The module of the application that the gateway's faults run; how large some of its rows are is given. */
import { PAPER_VARIABLE, watchedApp } from '../fault/gateway/app.js';

export default watchedApp(Number(process.env[PAPER_VARIABLE] ?? 200));
