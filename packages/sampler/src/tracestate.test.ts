import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MAX_OT_LENGTH, parseOt, withThreshold } from './tracestate.js';

test.each([
  ['th:8', '80000000000000', undefined],
  ['th:0', '00000000000000', undefined],
  ['th:FD70A', 'fd70a000000000', undefined],
  ['rv:0123456789ABCD', undefined, '0123456789abcd'],
  ['th:c;rv:ffffffffffffff;x:1', 'c0000000000000', 'ffffffffffffff'],
  ['x:1;th:c', 'c0000000000000', undefined],
])('%s is understood', (value, th, rv) => {
  expect(parseOt(value)).toEqual({ th, rv });
});

test.each([
  ['', 'is empty'],
  ['th:', 'has no digits'],
  ['th:g', 'has a digit that is none'],
  ['th:0x8', 'has a digit that is none'],
  ['th:-8', 'has a sign'],
  ['th: 8', 'has a space'],
  ['th:123456789abcdef', 'is too long'],
  ['th:8;th:c', 'says it twice'],
  ['th:8;th:8', 'says it twice'],
  ['TH:8', 'is another key'],
  ['xth:8', 'is another key'],
  ['th:8;rv:123', 'has a randomness that says nothing'],
  ['th:8;rv:0123456789abcd;rv:0123456789abce', 'has two randomnesses'],
  [`th:8;${'x'.repeat(MAX_OT_LENGTH)}`, 'is too long'],
])('no threshold can be had of %j: it %s', (value) => {
  expect(parseOt(value).th).toBeUndefined();
});

test.each([[undefined], [null], [8], [{}], [['th:8']]])('what is no string says nothing: %j', (value) => {
  expect(parseOt(value)).toEqual({ th: undefined, rv: undefined });
  expect(withThreshold(value, '8')).toBe('th:8');
  expect(withThreshold(value, undefined)).toBe('');
});

test.each([
  ['', 'c', 'th:c'],
  ['th:8', 'c', 'th:c'],
  ['th:8', undefined, ''],
  ['rv:0123456789abcd;th:8', 'c', 'th:c;rv:0123456789abcd'],
  ['rv:0123456789abcd;th:8', undefined, 'rv:0123456789abcd'],
  ['x:1;th:8;;y:2;', 'c', 'th:c;x:1;;y:2;'],
  ['th:8;th:c;x:1', undefined, 'x:1'],
  ['rv:short;x:1', 'c', 'th:c;x:1'],
  ['x:1', undefined, 'x:1'],
  ['x:1 ;th:8', undefined, 'x:1'],
])('%j with threshold %s is %j', (value, th, expected) => {
  expect(withThreshold(value, th)).toBe(expected);
});

test('a threshold that has no room is left out, and what it would replace with it', () => {
  const others = 'x'.repeat(MAX_OT_LENGTH - 6);
  expect(withThreshold(`th:8;${others}`, '8')).toBe(`th:8;${others}`);
  expect(withThreshold(`th:8;${others}`, 'fd70a')).toBe(others);
});

test('other members stay byte for byte, and the threshold comes back as it was written', () => {
  const member = fc.oneof(
    fc.constantFrom('th:8', 'th:', 'th:zz', 'rv:0123456789abcd', 'rv:1', '', 'x', 'k:v', 'thx:1'),
    fc.string({ maxLength: 20 }).map((text) => text.replaceAll(';', '')),
  );
  fc.assert(
    fc.property(fc.array(member, { maxLength: 12 }), fc.constantFrom(undefined, '0', 'c', 'fd70a'), (members, th) => {
      const value = members.join(';');
      fc.pre(value.length + 9 <= MAX_OT_LENGTH);
      const { rv } = parseOt(value);
      const others = members.filter((each) => !each.startsWith('th:') && (rv !== undefined || !each.startsWith('rv:')));
      const joined = others.join(';');
      // A space at the end, before a member that was taken out, would end the value now.
      const rest = others.length === members.length ? joined : joined.trimEnd();
      const written = withThreshold(value, th);
      expect(written).toBe([...(th === undefined ? [] : [`th:${th}`]), ...(rest === '' ? [] : [rest])].join(';'));
      expect(parseOt(written)).toEqual({ th: th?.padEnd(14, '0'), rv });
    }),
  );
});
