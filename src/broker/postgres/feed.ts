/** The Postgres feed: reads a log's shards page by page, woken by hints. */
import type { HeadProbe } from '../../platform/head-probe.js';
import type { Wakeups } from '../../platform/wakeups.js';
import { Members, sharedReads, type MembersOptions, type PageReader } from '../members.js';
import type { Feed, JoinRequest, Membership, Sequenced } from '../ports.js';

export interface PostgresFeedOptions<E extends Sequenced> extends MembersOptions {
  readonly read: PageReader<E>;
  readonly wakeups: Wakeups;
  /** Its looks show a Postgres that was restored under its readers. */
  readonly probe?: Pick<HeadProbe, 'onHeads'>;
}

export class PostgresFeed<E extends Sequenced> implements Feed<E> {
  readonly #wakeups: Wakeups;
  readonly #probe: Pick<HeadProbe, 'onHeads'> | undefined;
  readonly #members: Members<E>;
  readonly #read: PageReader<E>;

  constructor(options: PostgresFeedOptions<E>) {
    this.#wakeups = options.wakeups;
    this.#probe = options.probe;
    this.#members = new Members(options);
    this.#read = sharedReads(options.read);
  }

  join(request: JoinRequest<E>): Promise<Membership> {
    const { log } = request;
    const member = this.#members.join(request, {
      read: (shard, after, limit) => this.#read(log, shard, after, limit),
    });
    const deaf = this.#wakeups.on(log, (shard, seq) => member.loop(shard)?.hint(seq));
    const blind = this.#probe?.onHeads(({ heads }) => {
      for (const one of heads) if (one.log === log) member.loop(one.shard)?.looked(one.head);
    });
    return Promise.resolve({
      reopen: (shard) => member.reopen(shard),
      stop: () => {
        deaf();
        blind?.();
        return member.stop();
      },
    });
  }
}
