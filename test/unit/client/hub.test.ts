/** One line with guests: whose frames are whose, who opens it, and what becomes of it when guests leave or it ends. */
import { expect, test } from 'vitest';
import { Hub } from '../../../src/client/tabs/hub.js';
import type { LineEnd, LineEvents } from '../../../src/client/socket/line.js';
import { SocketLine } from '../../../src/client/socket/socket-line.js';
import type { ClientFrame, ServerFrame } from '../../../src/protocol/frames.js';
import { script } from '../../support/client/scripted-socket.js';

function start() {
  const lines: { events: LineEvents; sent: ClientFrame[]; refresh: boolean; closed: boolean }[] = [];
  const hub = new Hub((events, refresh) => {
    const line = { events, sent: [] as ClientFrame[], refresh, closed: false };
    lines.push(line);
    return {
      send: (frame) => line.sent.push(frame),
      probe: () => line.sent.push({ t: 'ping' }),
      close: () => {
        line.closed = true;
      },
    };
  });
  function guest(name: string, refresh = false) {
    const heard: (ServerFrame | LineEnd | 'opened')[] = [];
    const line = hub.join(
      name,
      {
        opened: () => heard.push('opened'),
        frame: (frame) => heard.push(frame),
        closed: (end) => heard.push(end),
      },
      refresh,
    );
    return { line, heard };
  }
  const line = () => {
    const last = lines.at(-1);
    if (!last) throw new Error('no line was opened');
    return last;
  };
  return { hub, lines, line, guest };
}
const hb = { t: 'hb', at: 1 } as const;
const snap = (id: string) => ({ t: 'snap', id, rows: [], more: false }) as const;

test('the first guest opens the line, later ones find it open; ids are each guest’s own', async () => {
  const { lines, line, guest } = start();
  const one = guest('one', true);
  expect(lines).toHaveLength(1);
  expect(line().refresh).toBe(true);
  expect(one.heard).toEqual([]);
  line().events.opened();
  const two = guest('two');
  expect(two.heard).toEqual([]);
  await Promise.resolve();
  expect([one.heard, two.heard]).toEqual([['opened'], ['opened']]);
  one.line.send({ t: 'sub', id: '1', view: 'a' });
  two.line.send({ t: 'sub', id: '1', view: 'b' });
  expect(line().sent).toEqual([
    { t: 'sub', id: 'one:1', view: 'a' },
    { t: 'sub', id: 'two:1', view: 'b' },
  ]);
  line().events.frame(snap('two:1'));
  line().events.frame({ t: 'chg', ch: 4, at: 1, d: [] });
  line().events.frame(hb);
  expect(one.heard.slice(1)).toEqual([{ t: 'chg', ch: 4, at: 1, d: [] }, hb]);
  expect(two.heard.slice(1)).toEqual([snap('1'), { t: 'chg', ch: 4, at: 1, d: [] }, hb]);
  expect(lines).toHaveLength(1);
});

test('who leaves is unsubscribed; with the last one the line ends', () => {
  const { hub, lines, line, guest } = start();
  const [one, two] = [guest('one'), guest('two')];
  line().events.opened();
  one.line.send({ t: 'sub', id: '1', view: 'a' });
  one.line.send({ t: 'sub', id: '2', view: 'a' });
  one.line.send({ t: 'unsub', id: '1' });
  one.line.close();
  expect(line().sent.slice(2)).toEqual([
    { t: 'unsub', id: 'one:1' },
    { t: 'unsub', id: 'one:2' },
  ]);
  // What is late for it goes to nobody, and what it still sends goes nowhere.
  line().events.frame(snap('one:2'));
  one.line.send({ t: 'sub', id: '3', view: 'a' });
  expect(one.heard).toEqual(['opened']);
  expect(line().sent).toHaveLength(4);
  expect(line().closed).toBe(false);
  two.line.close();
  expect(line().closed).toBe(true);
  expect(hub.guests).toBe(0);
  guest('one');
  expect(lines).toHaveLength(2);
});

test('the line ends for all; who comes back opens the next', () => {
  const { lines, line, guest } = start();
  const [one, two] = [guest('one'), guest('two')];
  line().events.opened();
  line().events.closed({ code: 4000, reconnectInMs: 5 });
  expect([one.heard.at(-1), two.heard.at(-1)]).toEqual([
    { code: 4000, reconnectInMs: 5 },
    { code: 4000, reconnectInMs: 5 },
  ]);
  const again = guest('two');
  two.line.close();
  line().events.opened();
  expect(again.heard).toEqual(['opened']);
  expect(lines).toHaveLength(2);
});

test('a guest of the same name was another one: it is gone, and what it had with it', () => {
  const { line, guest } = start();
  const old = guest('one');
  line().events.opened();
  old.line.send({ t: 'sub', id: '1', view: 'a' });
  guest('other');
  guest('one');
  expect(line().sent.at(-1)).toEqual({ t: 'unsub', id: 'one:1' });
  old.line.close();
  old.line.send({ t: 'ping' });
  line().events.frame(hb);
  expect(old.heard).toEqual(['opened']);
});

const MOVED = { code: 1001, reconnectInMs: 0 };

test('who comes with a fresh token gets a line that was made with it, and so does everybody else', () => {
  const { lines, line, guest } = start();
  const [one, two] = [guest('one'), guest('two')];
  line().events.opened();
  // As after a login: what the line may see is of who was there before.
  one.line.close();
  guest('one', true);
  expect(lines.map(({ refresh, closed }) => [refresh, closed])).toEqual([
    [false, true],
    [true, false],
  ]);
  expect(two.heard.at(-1)).toEqual(MOVED);
  const again = guest('two');
  line().events.opened();
  expect(again.heard).toEqual(['opened']);
  // And once more, by one that was not on it before.
  guest('three', true);
  expect(lines).toHaveLength(3);
  expect(again.heard).toEqual(['opened', MOVED]);
});

test('guests that left for one and the same reason make one fresh line, and not one each', () => {
  const { lines, line, guest } = start();
  const [one, two] = [guest('one'), guest('two')];
  const frozen = guest('frozen');
  line().events.opened();
  one.line.close();
  two.line.close();
  // The one that stands still has not heard of it, and keeps the line.
  expect(line().closed).toBe(false);
  const first = guest('one', true);
  expect(frozen.heard.at(-1)).toEqual(MOVED);
  guest('two', true);
  guest('frozen', true);
  expect(lines).toHaveLength(2);
  // The next time is another reason.
  first.line.close();
  guest('one', true);
  expect(lines).toHaveLength(3);
});

test('subscriptions that the server ended are forgotten: who leaves does not end them again', () => {
  const { line, guest } = start();
  const one = guest('one');
  guest('two');
  line().events.opened();
  for (const id of ['1', '2', '3']) one.line.send({ t: 'sub', id, view: 'a' });
  line().events.frame({ t: 'err', id: 'one:1', code: 'unavailable', message: 'later' });
  line().events.frame({ t: 'unsubbed', id: 'one:2', reason: 'forbidden', drop: true });
  one.line.close();
  expect(line().sent.slice(3)).toEqual([{ t: 'unsub', id: 'one:3' }]);
});

test('a token that ended is everybody’s: told of one subscription, each guest hears it before it shows anything more', async () => {
  const server = script();
  const settings = { realtimeUrl: 'wss://shop.test/realtime', token: () => 't', WebSocket: server.WebSocket };
  const hub = new Hub((events, refresh) => new SocketLine(settings, events, refresh));
  const heard = { one: [] as unknown[], two: [] as unknown[] };
  const lines = (['one', 'two'] as const).map((name) =>
    hub.join(
      name,
      {
        opened: () => undefined,
        frame: ({ t }) => heard[name].push(t),
        closed: ({ code, error }) => heard[name].push([code, error?.code]),
      },
      false,
    ),
  );
  await new Promise((resolve) => setImmediate(resolve));
  const socket = server.socket().accept();
  for (const line of lines) line.send({ t: 'sub', id: '1', view: 'a' });
  for (const id of ['one:1', 'two:1']) socket.say({ t: 'unsubbed', id, reason: 'token_expired', drop: true });
  expect(heard.one).toEqual(['welcome', [4004, 'token_expired']]);
  expect(heard.two).toEqual(heard.one);
  expect(socket.isOver).toBe(true);
});
