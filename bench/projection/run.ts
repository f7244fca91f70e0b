/** One run of one subject, in a process of its own, so that its memory and its CPU time are its own. Prints a sample as JSON. */
import { postgresCpuMs, processCpuMs } from '../support/cpu.js';
import type { Sample } from '../support/report.js';
import { SUBJECTS } from './subjects.js';

const [name = '', url = '', version = '', events = '', postmaster = ''] = process.argv.slice(2);
const subject = SUBJECTS[name];
if (!subject) throw new Error(`no subject "${name}"; there are ${Object.keys(SUBJECTS).join(', ')}`);

const { work, close } = await subject.run({ url, version: Number(version), events: Number(events) });
let peak = 0;
const look = (): void => void (peak = Math.max(peak, process.memoryUsage.rss()));
const timer = setInterval(look, 20);
const before = {
  at: performance.now(),
  own: processCpuMs(),
  postgres: postmaster === '' ? undefined : postgresCpuMs(Number(postmaster)),
};
await work();
const seconds = (performance.now() - before.at) / 1000;
const thousands = Number(events) / 1000;
const sample: Sample = {
  perSecond: Number(events) / seconds,
  processCpu: (processCpuMs() - before.own) / thousands,
  postgresCpu:
    before.postgres === undefined
      ? undefined
      : (postgresCpuMs(Number(postmaster)) - before.postgres) / thousands,
  peakRssMb: (look(), peak / 1024 / 1024),
};
clearInterval(timer);
await close();
console.log(JSON.stringify(sample));
