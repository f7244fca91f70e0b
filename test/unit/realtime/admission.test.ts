/** Who is let in beside whom. */
import { describe, expect, it } from 'vitest';
import { Admission } from '../../../src/realtime/access/admission.js';

const admission = (maxSockets: number, maxSocketsPerAddress: number): Admission =>
  new Admission({ maxSockets, maxSocketsPerAddress });

describe('admission', () => {
  it('counts each address for itself, and lets in again who has left', () => {
    const door = admission(100, 2);
    for (const address of ['10.0.0.1', '10.0.0.1', '10.0.0.2']) {
      expect(door.refusal(address)).toBeUndefined();
      door.opened(address);
    }
    expect(door.refusal('10.0.0.1')).toBe('too_many_connections');
    expect(door.refusal('10.0.0.2')).toBeUndefined();
    door.closed('10.0.0.1');
    expect(door.refusal('10.0.0.1')).toBeUndefined();
  });

  it.each([
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff:1:2:3', true],
    ['2001:db8:1:2::1', '2001:db8:1:3::1', false],
    ['::2', '::3', true],
    ['2001:db8::1', '2001:db8:0:0:1::1', true],
    ['2001:db8::1', '2001:db8:0:1::1', false],
    ['1:2:3:4:5:6:7:8', '1:2:3:4::', true],
  ])('%s and %s are one: %s', (first, second, same) => {
    const door = admission(100, 1);
    door.opened(first);
    expect(door.refusal(second)).toBe(same ? 'too_many_connections' : undefined);
  });

  it('does not count callers on the same machine by their address, but in the whole', () => {
    const door = admission(5, 1);
    for (const address of ['127.0.0.1', '127.0.0.1', '::1', '::1', '127.9.9.9']) {
      expect(door.refusal(address)).toBeUndefined();
      door.opened(address);
    }
    expect(door.refusal('127.0.0.1')).toBe('overloaded');
    expect(door.refusal('10.0.0.1')).toBe('overloaded');
    door.closed('::1');
    expect(door.refusal('10.0.0.1')).toBeUndefined();
  });
});
