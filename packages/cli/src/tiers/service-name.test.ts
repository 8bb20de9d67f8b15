import { escapeKeySegment } from '@otel-resilience/tiered';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { serviceName } from './service-name.js';

it('is the name that was escaped', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, maxLength: 30, unit: 'grapheme' }), (name) => {
      const segment = escapeKeySegment(name);
      fc.pre(!segment.includes('!!'));
      expect(serviceName(segment)).toBe(name);
    }),
  );
});

it.each([
  ['!', '(without a name)'],
  ['!mixed', '(several)'],
  [escapeKeySegment('x'.repeat(120)), `${'x'.repeat(100)}…`],
])('%s is %s', (segment, shown) => expect(serviceName(segment)).toBe(shown));
