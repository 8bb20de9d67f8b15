import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readPartialSuccess } from './partial-success.js';

const text = (value: string) => [...new TextEncoder().encode(value)];
const response = (...fields: number[]) => Uint8Array.from([0x0a, fields.length, ...fields]);

describe('readPartialSuccess', () => {
  it.each<[string, Uint8Array, object]>([
    ['no body', new Uint8Array(), { rejectedSpans: 0, message: '' }],
    ['an empty partial_success', response(), { rejectedSpans: 0, message: '' }],
    ['a count', response(0x08, 4), { rejectedSpans: 4, message: '' }],
    ['a warning', response(0x12, 3, ...text('old')), { rejectedSpans: 0, message: 'old' }],
    [
      'both, and fields nobody knows',
      response(0x08, 2, 0x12, 2, ...text('no'), 0x78, 1),
      { rejectedSpans: 2, message: 'no' },
    ],
    ['more than was sent', response(0x08, 0xff, 0x01), { rejectedSpans: 10, message: '' }],
    ['a negative count', response(0x08, ...new Array(9).fill(0xff), 0x01), { rejectedSpans: 0, message: '' }],
    ['a message of several lines', response(0x12, 5, ...text('a\n\0\tb')), { rejectedSpans: 0, message: 'a b' }],
    ['half a response', response(0x08, 4).slice(0, 3), { rejectedSpans: 0, message: '' }],
    ['an HTML page', Uint8Array.from(text('<html>ok</html>')), { rejectedSpans: 0, message: '' }],
  ])('%s', (_, body, expected) => {
    expect(readPartialSuccess(body, 10)).toEqual(expected);
  });

  it('property: no bytes make it throw, reject more than was sent, or say more than a line', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.nat(100), (body, sent) => {
        for (const bytes of [body, Uint8Array.from([0x0a, body.length & 0x7f, ...body])]) {
          const { rejectedSpans, message } = readPartialSuccess(bytes, sent);
          expect(Number.isInteger(rejectedSpans) && rejectedSpans >= 0 && rejectedSpans <= sent).toBe(true);
          expect(message.length).toBeLessThanOrEqual(256);
        }
      }),
    );
  });
});
