/** One line and many guests: each has ids of its own and hears what is for it; what goes to a channel goes to all. */
import type { ClientFrame, ServerFrame } from '../../protocol/frames.js';
import { MOVED, type Line, type LineEnd, type LineEvents, type OpenLine } from '../socket/line.js';

interface Guest {
  readonly events: LineEvents;
  /** Its subscriptions, by its own ids. */
  readonly ids: Set<string>;
}

/** Between a guest’s name and its id. */
const MARK = ':';

export class Hub {
  readonly #open: OpenLine;
  readonly #guests = new Map<string, Guest>();
  #line: Line | undefined;
  #isOpen = false;
  /** Who has left since the line was opened … */
  #left = new Set<string>();
  /** … and who had left before, of those for whom it was opened with a fresh token. */
  #late = new Set<string>();

  constructor(open: OpenLine) {
    this.#open = open;
  }

  get guests(): number {
    return this.#guests.size;
  }

  /**
   * @param name without `:`, 1–40 characters; a guest of that name who is there already is gone
   * @param refresh the caller is another one, or its token is no good any more: neither is a line that was made before
   */
  join(name: string, events: LineEvents, refresh: boolean): Line {
    this.leave(name);
    // What made the others leave made this one: the line that the first of them had opened is fresh enough.
    const isLate = this.#late.delete(name);
    if (refresh && !isLate) this.close(MOVED);
    const guest: Guest = { events, ids: new Set() };
    this.#guests.set(name, guest);
    if (!this.#line) this.#connect(name, refresh);
    else if (this.#isOpen) {
      // Whoever joins must have its line first.
      queueMicrotask(() => {
        if (this.#isOpen && this.#guests.get(name) === guest) events.opened();
      });
    }
    return {
      send: (frame) => this.#send(name, guest, frame),
      probe: () => this.#line?.probe(),
      close: () => {
        if (this.#guests.get(name) === guest) this.leave(name);
      },
    };
  }

  leave(name: string): void {
    const guest = this.#guests.get(name);
    if (!guest) return;
    this.#guests.delete(name);
    this.#left.add(name);
    if (this.#isOpen) for (const id of guest.ids) this.#line?.send({ t: 'unsub', id: name + MARK + id });
    if (this.#guests.size > 0) return;
    this.#line?.close();
    this.#line = undefined;
    this.#isOpen = false;
  }

  /** All guests hear that it is over. */
  close(end: LineEnd): void {
    this.#line?.close();
    this.#closed(end);
  }

  #connect(name: string, refresh: boolean): void {
    this.#late = refresh ? this.#left : new Set();
    this.#late.delete(name);
    this.#left = new Set();
    const events: LineEvents = {
      opened: () => {
        this.#isOpen = true;
        for (const guest of [...this.#guests.values()]) guest.events.opened();
      },
      frame: (frame) => this.#receive(frame),
      closed: (end) => this.#closed(end),
    };
    this.#line = this.#open(events, refresh);
  }

  #closed(end: LineEnd): void {
    const guests = [...this.#guests];
    this.#guests.clear();
    this.#line = undefined;
    this.#isOpen = false;
    for (const [name] of guests) this.#left.add(name);
    for (const [, guest] of guests) guest.events.closed(end);
  }

  #send(name: string, guest: Guest, frame: ClientFrame): void {
    if (this.#guests.get(name) !== guest) return;
    if (frame.t === 'sub') guest.ids.add(frame.id);
    if (frame.t === 'unsub') guest.ids.delete(frame.id);
    this.#line?.send('id' in frame ? { ...frame, id: name + MARK + frame.id } : frame);
  }

  #receive(frame: ServerFrame): void {
    if (!('id' in frame) || frame.id === undefined) {
      for (const guest of [...this.#guests.values()]) guest.events.frame(frame);
      return;
    }
    const at = frame.id.indexOf(MARK);
    const guest = this.#guests.get(frame.id.slice(0, at));
    const id = frame.id.slice(at + 1);
    if (frame.t === 'err' || frame.t === 'unsubbed') guest?.ids.delete(id);
    guest?.events.frame({ ...frame, id });
  }
}
