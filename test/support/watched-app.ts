/** The module of the application that the gateway's faults run; how large some of its rows are is given, and which tokens were revoked. */
import { PAPER_VARIABLE, REVOKED_VARIABLE, watchedApp } from '../fault/gateway/app.js';

export default watchedApp(Number(process.env[PAPER_VARIABLE] ?? 200), process.env[REVOKED_VARIABLE]);
