/** What stands in an inbox, and what is asked of Postgres beside it. */
import { describe, expect, it } from 'vitest';
import { Inbox } from '../../../src/broker/kafka/inbox.js';
import { Proofs } from '../../../src/broker/kafka/proofs.js';

const record = { key: Buffer.from('key'), value: Buffer.alloc(1_000) };
const offer = (inbox: Inbox, ...seqs: number[]) => seqs.map((seq) => inbox.offer(seq, record));
const seqs = (inbox: Inbox, after: number, limit = 100) => inbox.after(after, limit).map(({ seq }) => seq);

describe('an inbox', () => {
  it('keeps what follows, tells repeats and gaps, and begins again after a gap', () => {
    const inbox = new Inbox();
    expect(offer(inbox, 5, 6, 6, 5, 7)).toEqual(['next', 'next', 'repeat', 'repeat', 'next']);
    expect([inbox.covers(3), inbox.covers(4), inbox.covers(6), inbox.covers(7)]).toEqual([
      false,
      true,
      true,
      false,
    ]);
    expect(seqs(inbox, 4)).toEqual([5, 6, 7]);
    expect(seqs(inbox, 5, 1)).toEqual([6]);
    expect(offer(inbox, 9)).toEqual(['gap']);
    expect(inbox.covers(6)).toBe(false);
    expect(seqs(inbox, 8)).toEqual([9]);
    expect([inbox.count, inbox.last]).toEqual([1, 9]);
  });

  it('knows what follows when it was emptied, and not when it was dropped', () => {
    const inbox = new Inbox();
    offer(inbox, 1, 2, 3);
    const { bytes } = inbox;
    expect(bytes).toBeGreaterThan(3_000);
    inbox.trim(1);
    expect(inbox.bytes).toBeCloseTo((bytes * 2) / 3);
    inbox.trim(10);
    expect([inbox.count, inbox.bytes, inbox.covers(0), inbox.covers(2)]).toEqual([0, 0, false, false]);
    expect(offer(inbox, 3, 4)).toEqual(['repeat', 'next']);
    inbox.drop();
    expect([inbox.count, inbox.bytes, inbox.last]).toEqual([0, 0, undefined]);
    expect(offer(inbox, 2)).toEqual(['next']);
  });
});

describe('what waits for long', () => {
  const fetched = Buffer.alloc(1_000_000, 'x');
  const part = (length: number) => fetched.subarray(0, length);
  const headers = { ce_tags: part(50_000), twice: [part(10), 'text'], none: null };

  it('holds nothing of the fetch that brought it', () => {
    const inbox = new Inbox();
    inbox.offer(1, { key: part(5), value: part(10), headers }, true);
    const [kept] = inbox.after(0, 1);
    expect(kept?.record).toEqual({
      key: part(5),
      value: part(10),
      headers: { ce_tags: part(50_000), twice: [part(10), 'text'] },
    });
    for (const bytes of [kept?.record.key, kept?.record.value, kept?.record.headers?.['ce_tags']])
      expect(Buffer.isBuffer(bytes) && bytes.buffer.byteLength).toBeLessThan(100_000);
  });

  it('is counted with its headers', () => {
    const inbox = new Inbox();
    inbox.offer(1, { key: null, value: null, headers });
    expect(inbox.bytes).toBeGreaterThan(50_000);
  });
});

describe('proofs', () => {
  it('ask for all together that come while one is under way, and fail those alone that failed', async () => {
    const asked: number[][] = [];
    const proofs = new Proofs<number>(async (entries) => {
      asked.push([...entries]);
      await new Promise(setImmediate);
      if (entries.includes(4)) throw new Error('away');
      return entries.map((entry) => entry % 2 === 1);
    });
    const first = [1, 2, 3].map((entry) => proofs.has(entry));
    expect(await Promise.all(first)).toEqual([true, false, true]);
    const second = proofs.has(4);
    await expect(second).rejects.toThrow('away');
    expect(await proofs.has(5)).toBe(true);
    expect(asked).toEqual([[1], [2, 3], [4], [5]]);
  });
});
