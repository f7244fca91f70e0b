/** What `auth` may be: off only when that is said, and no rule for what is not there. */
import { aggregate, defineApp, projection } from 'tidemark';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { refuseOpenDoor } from '../../../src/app/open-door.js';

const Door = aggregate('door', {
  state: z.object({}),
  initial: {},
  events: { Opened: z.object({}) },
  commands: { open: z.object({}) },
})
  .evolve({ Opened: (state) => state })
  .decide({ open: () => [] });
const Doors = projection('doors', { version: 1, row: z.object({ id: z.string() }), key: 'id' }).on(Door, {
  fold: { Opened: () => ({}) },
});

// As JavaScript would have it: the types forbid most of what is tried here.
type Options = Parameters<typeof defineApp>[0];
const define = (auth: unknown) =>
  defineApp({ name: 'house', aggregates: [Door], projections: [Doors], auth } as Options);
const authenticate = () => null;

describe('refused', () => {
  const wrong: readonly (readonly [unknown, RegExp])[] = [
    [undefined, /auth: expected 'none', or/],
    [null, /auth: expected 'none'/],
    ['off', /auth: expected 'none'/],
    [false, /auth: expected 'none'/],
    [{}, /auth.authenticate: expected jwt/],
    [{ authenticate, comands: {} }, /unknown comands; known are/],
    [{ authenticate, commands: { dor: {} } }, /auth.commands: unknown dor/],
    [{ authenticate, commands: { door: { opn: true } } }, /auth.commands.door: unknown opn/],
    [{ authenticate, commands: { door: { open: 'yes' } } }, /door.open: expected a function, true or false/],
    [{ authenticate, commands: { door: () => true } }, /auth.commands.door: expected an object/],
    [{ authenticate, views: { dors: true } }, /auth.views: unknown dors/],
    [{ authenticate, queries: { all: true } }, /auth.queries: unknown all/],
    [{ authenticate, streams: { doors: true } }, /auth.streams: unknown doors/],
    [{ authenticate, operate: 'me' }, /auth.operate: expected/],
    [{ authenticate, cookie: 'a b' }, /auth.cookie: expected/],
    [{ authenticate, cookie: '' }, /auth.cookie: expected/],
    [{ authenticate, recheckMs: 10 }, /auth.recheckMs: expected/],
    [{ authenticate, anonymous: { id: ' ', claims: {} } }, /auth.anonymous.id/],
    [{ authenticate, anonymous: { id: 'guest' } }, /auth.anonymous.claims/],
    [{ authenticate, anonymous: { id: 'inbound:x', claims: {} } }, /auth.anonymous.id/],
  ];
  it.each(wrong)('%j', (auth, message) => expect(() => define(auth)).toThrow(message));
});

describe('others can reach the process', () => {
  it.each(['0.0.0.0', '::', '10.0.0.1', 'shop.example', '128.0.0.1'])(
    '%s: with rights off it does not begin',
    (host) => {
      expect(() => refuseOpenDoor(define('none'), { host })).toThrow(
        expect.objectContaining({ code: 'rights_off', message: expect.stringContaining(`HOST=${host}`) }),
      );
      expect(() => refuseOpenDoor(define({ authenticate }), { host })).not.toThrow();
    },
  );

  it.each(['127.0.0.1', 'localhost', '::1', '[::1]', '127.1.2.3'])('%s: nobody else can', (host) => {
    expect(() => refuseOpenDoor(define('none'), { host })).not.toThrow();
  });
});
