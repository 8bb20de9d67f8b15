import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ShareWindow } from './share-window.js';

it('says nothing before the first sample, and the same twice', () => {
  const window = new ShareWindow();
  expect(window.read()).toBeUndefined();
  window.add(1, 4);
  expect(window.read()).toBe(0.25);
  expect(window.read()).toBe(0.25);
});

it('loses nothing, however often it is read: what the reads say adds up to what was used', () => {
  const sample = fc.record({ used: fc.nat(100), more: fc.nat(100), read: fc.boolean() });
  fc.assert(
    fc.property(fc.array(sample), (samples) => {
      const window = new ShareWindow();
      let capacity = 0;
      let said = 0;
      let used = 0;
      for (const { used: part, more, read } of [...samples, { used: 0, more: 1, read: true }]) {
        window.add(part, part + more);
        capacity += part + more;
        used += part;
        if (!read) continue;
        said += (window.read() ?? 0) * capacity;
        capacity = 0;
      }
      expect(said).toBeCloseTo(used, 6);
    }),
  );
});
