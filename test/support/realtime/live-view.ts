/**
 * A client of the realtime contract that forgives nothing: a gap, a repeat, a frame out of order is an error. What it
 * knows of the protocol is what DESIGN §4 says, and not what the server happens to do.
 */
import type { ChangePart, ClientPosition, ServerFrame, SubFrame } from '../../../src/protocol/frames.js';

export type Subscribe = Omit<SubFrame, 't' | 'from'>;

class ContractBroken extends Error {}

export class LiveView {
  readonly request: Subscribe;
  state: 'asked' | 'snapshot' | 'replay' | 'live' | 'failed' = 'asked';
  readonly rows = new Map<string, { readonly rev: number; readonly row: unknown }>();
  /** Shard → seq up to which it has everything; a shard that is absent is 0. */
  last = new Map<number, number>();
  epoch: string | undefined;
  ch: number | undefined;
  /** Changes in the order in which they came since the last snapshot or resume: `shard/seq`. */
  readonly seen: string[] = [];
  /** What `seen` goes on from: the position it resumed from, or undefined after a snapshot. */
  resumedFrom: ClientPosition | undefined;
  readonly resets: string[] = [];
  error: string | undefined;

  constructor(request: Subscribe) {
    this.request = request;
  }

  /** It shows the first rows in an order: they come and go by changes of others, so that revisions need not rise. */
  get isWindow(): boolean {
    return this.request.sort !== undefined || this.request.limit !== undefined;
  }

  /** The frame to send; goes on from where the view stands if it has a position. */
  subscribe(): SubFrame {
    const from = this.position();
    this.state = 'asked';
    this.ch = undefined;
    this.seen.length = 0;
    this.resumedFrom = from;
    if (!from) this.last = new Map();
    return { t: 'sub', ...this.request, ...(from ? { from } : {}) };
  }

  position(): ClientPosition | undefined {
    return this.epoch === undefined ? undefined : { epoch: this.epoch, pos: [...this.last] };
  }

  frame(frame: ServerFrame): void {
    switch (frame.t) {
      case 'snap':
        return this.#snap(frame);
      case 'live':
        return this.#live(frame);
      case 'reset':
        this.resets.push(frame.reason);
        return this.#forget();
      case 'err':
        this.state = 'failed';
        this.error = frame.code;
        return;
      case 'chg':
        return this.#changes(frame);
      default:
    }
  }

  #forget(): void {
    this.state = 'asked';
    this.epoch = undefined;
    this.last = new Map();
    this.seen.length = 0;
    this.resumedFrom = undefined;
    this.ch = undefined;
  }

  #snap(frame: Extract<ServerFrame, { t: 'snap' }>): void {
    if (this.state === 'asked' && this.resumedFrom === undefined) this.rows.clear();
    else if (this.state !== 'snapshot') this.#broken(`snap while ${this.state}`);
    this.state = frame.more ? 'snapshot' : 'replay';
    for (const [key, rev, row] of frame.rows) {
      if (this.rows.has(key)) this.#broken(`snap has ${key} twice`);
      this.rows.set(key, { rev, row });
    }
  }

  #live(frame: Extract<ServerFrame, { t: 'live' }>): void {
    if (this.state === 'snapshot') this.#broken('live in the middle of a snapshot');
    if (this.state === 'asked' && this.resumedFrom === undefined) this.#broken('live without a snapshot');
    const pos = new Map(frame.pos);
    for (const [shard, seq] of this.last)
      if ((pos.get(shard) ?? 0) < seq && pos.size > 0 && pos.has(shard))
        this.#broken(`live goes back in shard ${shard} from ${seq} to ${pos.get(shard) ?? 0}`);
    for (const [shard, seq] of pos) this.last.set(shard, seq);
    this.epoch = frame.epoch;
    this.ch = frame.ch;
    this.state = 'live';
  }

  #changes(frame: Extract<ServerFrame, { t: 'chg' }>): void {
    if ('ch' in frame && this.state !== 'live') this.#broken(`chg of the channel while ${this.state}`);
    if ('id' in frame && this.state === 'snapshot') this.#broken('chg in the middle of a snapshot');
    if (!Number.isSafeInteger(frame.at)) this.#broken(`at ${frame.at}`);
    for (const part of frame.d) this.#part(part, 'ch' in frame);
  }

  /** @param isChannel it was published to all who watch; else it brings this one up, and may repeat what it knows of a window */
  #part([shard, p, s, rows]: ChangePart, isChannel: boolean): void {
    const last = this.last.get(shard) ?? 0;
    if (p > last) this.#broken(`gap in shard ${shard}: after ${last} came (${p}, ${s}]`);
    // A quiet part may tell some what they know already: others of the channel may not.
    if (s <= last && rows.length === 0) return;
    if (s <= last) this.#broken(`repeat in shard ${shard}: after ${last} came (${p}, ${s}]`);
    if (this.isWindow) {
      this.#windowRows(rows, last, s, isChannel);
      this.last.set(shard, s);
      return;
    }
    let before = last;
    for (const [key, rev, row] of rows) {
      if (rev <= before || rev > s)
        this.#broken(`shard ${shard}: seq ${rev} after ${before} in (${p}, ${s}]`);
      if (rev <= (this.rows.get(key)?.rev ?? 0)) this.#broken(`${key} came twice as ${rev}`);
      before = rev;
      this.seen.push(`${shard}/${rev}`);
      if (row === null) this.rows.delete(key);
      else this.rows.set(key, { rev, row });
    }
    this.last.set(shard, s);
  }

  #windowRows(rows: ChangePart[3], last: number, s: number, isChannel: boolean): void {
    for (const [key, rev, row] of rows) {
      const known = this.rows.get(key);
      if (row === null) {
        if (rev <= last || rev > s) this.#broken(`${key} left by ${rev}, in (${last}, ${s}]`);
        if (!known && isChannel) this.#broken(`${key} left, and was not there`);
        this.rows.delete(key);
        continue;
      }
      if (known?.rev === rev && isChannel) this.#broken(`${key} came twice as ${rev}`);
      this.rows.set(key, { rev, row });
    }
  }

  #broken(what: string): never {
    throw new ContractBroken(`${this.request.id} ${JSON.stringify(this.request)}: ${what}`);
  }
}

/** Frames of one socket, given to the subscriptions that they are for. */
export function route(views: ReadonlyMap<string, LiveView>, frame: ServerFrame): void {
  if ('id' in frame && frame.id !== undefined) views.get(frame.id)?.frame(frame);
  else if (frame.t === 'chg' && 'ch' in frame)
    for (const view of views.values()) if (view.ch === frame.ch) view.frame(frame);
}
