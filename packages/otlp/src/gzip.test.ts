import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gzip } from './gzip.js';

describe('gzip', () => {
  it('any chunks, at any level, come back as they were', async () => {
    const chunks = fc.array(fc.uint8Array({ maxLength: 2_000 }), { maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(chunks, fc.integer({ min: 1, max: 9 }), async (given, level) => {
        const before = Buffer.concat(given);
        const compressed = await gzip(given, level);
        expect(gunzipSync(compressed).equals(before)).toBe(true);
        expect(Buffer.concat(given).equals(before)).toBe(true);
      }),
    );
  });

  it('is smaller at higher levels', async () => {
    const words = Array.from({ length: 20_000 }, (_, i) => `span-${(i * 7919) % 977} http.route=/orders/${i % 89};`);
    const bytes = [Buffer.from(words.join(''))];
    const [fast, small] = await Promise.all([gzip(bytes, 1), gzip(bytes, 9)]);
    expect(small.byteLength).toBeLessThan(fast.byteLength);
    expect(fast.byteLength).toBeLessThan(bytes[0]!.byteLength / 2);
  });

  it('leaves the main loop free', async () => {
    const bytes = [Buffer.from(Array.from({ length: 8_000_000 }, (_, i) => (i * i) % 251))];
    let turns = 0;
    const interval = setInterval(() => turns++, 1);
    await gzip(bytes, 6);
    clearInterval(interval);
    expect(turns).toBeGreaterThan(5);
  });
});
