/** A process of subscribers: what it is told comes from the run that started it, and when that is gone so is it. */
import type { FromFleet, Order, ToFleet } from './messages.js';
import { Watcher } from './watcher.js';

let watchers: readonly Watcher[] = [];
let url = '';

function begin(order: Order): void {
  url = order.url;
  const { shards, silenceMs } = order;
  watchers = order.watchers.map((watched) => new Watcher(watched, { url: () => url, shards, silenceMs }));
}

const tell = (message: FromFleet): void => void process.send?.(message);

process.on('message', (message: ToFleet) => {
  switch (message.t) {
    case 'begin':
      return begin(message.order);
    case 'moved':
      url = message.url;
      return;
    case 'token':
      for (const watcher of watchers) watcher.take(message.who, message.token, message.inPlace);
      return;
    case 'cut':
      for (const watcher of watchers) watcher.cut();
      return;
    case 'status': {
      const settled = watchers.filter((watcher) => watcher.settled(message.heads)).length;
      const live = watchers.filter((watcher) => watcher.live).length;
      return tell({ t: 'status', live, settled, out: watchers.filter(({ out }) => out).length });
    }
    case 'report':
      return tell({ t: 'report', watchers: watchers.map((watcher) => watcher.report()) });
  }
});
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
