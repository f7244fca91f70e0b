/**
 * Topics of streams: what is published to a channel becomes one event for all who ask for the same, however many read it,
 * with the cursor that holds after it. Sockets have topics of their own, in the engine.
 */
import { encodeEvent } from './events.js';
import { Place, type Cursors } from './places.js';

/** A stream, as its topics see it. */
export interface Member {
  readonly cursors: Cursors;
  deliver(event: Buffer): void;
}

class Topic {
  /** Where everyone who is in it stands; undefined where nobody does, as in the heartbeat's. */
  place: Place | undefined;
  readonly #groups = new Map<string, { readonly cursors: Cursors; readonly members: Set<Member> }>();
  size = 0;

  add(member: Member): void {
    const { cursors } = member;
    const group = this.#groups.get(cursors.name) ?? { cursors, members: new Set() };
    this.#groups.set(cursors.name, group);
    if (!group.members.has(member)) this.size++;
    group.members.add(member);
  }

  remove(member: Member): void {
    const group = this.#groups.get(member.cursors.name);
    if (!group?.members.delete(member)) return;
    this.size--;
    if (group.members.size === 0) this.#groups.delete(member.cursors.name);
  }

  publish(text: string): void {
    const { place } = this;
    place?.advance(text);
    // Without a place the event is the same for all.
    let event = place ? undefined : encodeEvent(text);
    for (const { cursors, members } of this.#groups.values()) {
      if (place) event = encodeEvent(text, { id: cursors.of(place) });
      for (const member of members) if (event) member.deliver(event);
    }
  }
}

export class StreamTopics {
  readonly #topics = new Map<string, Topic>();

  /**
   * @param place where the member stands, when the topic is a channel's. All members have everything up to where the log
   *   stands at this moment, so that the farthest of them is where all of them are
   */
  join(name: string, member: Member, place: Place | undefined): void {
    const topic = this.#topics.get(name) ?? new Topic();
    this.#topics.set(name, topic);
    if (place) topic.place = topic.place?.merge(place) ?? new Place(place);
    topic.add(member);
  }

  /** @returns where the member stands, when the topic is a channel's */
  leave(name: string, member: Member): Place | undefined {
    const topic = this.#topics.get(name);
    topic?.remove(member);
    if (topic?.size === 0) this.#topics.delete(name);
    return topic?.place && new Place(topic.place);
  }

  /** @returns to how many streams it went */
  publish(name: string, text: string): number {
    const topic = this.#topics.get(name);
    topic?.publish(text);
    return topic?.size ?? 0;
  }
}
