import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IDS_BYTES, keyAt } from './decode-ids.js';
import { SpanKeySet } from './span-key-set.js';

/** Ids that collide: few different bytes, and runs of numbers. */
const ids = fc.array(fc.record({ high: fc.nat({ max: 2 }), low: fc.nat({ max: 300 }), numbered: fc.boolean() }), {
  maxLength: 400,
});

function toBytes(list: readonly { high: number; low: number; numbered: boolean }[]): Uint8Array {
  const bytes = Buffer.alloc(list.length * IDS_BYTES);
  list.forEach(({ high, low, numbered }, i) => {
    bytes[i * IDS_BYTES] = high;
    bytes.writeUInt32BE(numbered ? low : Math.imul(low, 0x01000193) >>> 0, (i + 1) * IDS_BYTES - 4);
  });
  return bytes;
}

describe('SpanKeySet', () => {
  it('holds what a Set of the keys holds, in the same order, whenever the keys are asked for', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(ids, fc.boolean()), { maxLength: 6 }), (batches) => {
        const set = new SpanKeySet();
        const model = new Set<string>();
        for (const [list, isAsked] of batches) {
          const bytes = toBytes(list);
          const count = Math.ceil(list.length * 0.75);
          set.add(bytes, count);
          for (let i = 0; i < count; i++) model.add(keyAt(bytes, i));
          expect(set.size).toBe(model.size);
          if (isAsked) expect([...set.keys]).toEqual([...model]);
        }
        const { keys } = set;
        expect([...keys]).toEqual([...model]);
        set.clear();
        expect([set.size, keys.size, set.keys.size]).toEqual([0, 0, 0]);
      }),
      { numRuns: 60 },
    );
  });

  it('grows', () => {
    const set = new SpanKeySet();
    const numbered = Array.from({ length: 100_000 }, (_, low) => ({ high: 0, low, numbered: true }));
    const bytes = toBytes(numbered);
    set.add(bytes, numbered.length);
    set.add(bytes, numbered.length);
    expect(set.size).toBe(numbered.length);
    expect(set.keys.has(keyAt(bytes, 99_999))).toBe(true);
  });
});
