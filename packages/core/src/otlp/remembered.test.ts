import { createHash } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { TraceState } from '@opentelemetry/api';
import { fakeSpan } from '@otel-resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeSpans } from './decoder.js';
import { encodeSpans } from './encoder.js';
import { KeyField } from './key-field.js';

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

/** With texts of a megabyte or more, which are not on the heap itself. */
function heapBytes(): number {
  collectGarbage();
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** A slice of a text of a megabyte. */
function cutOut(text: string): string {
  const start = large.length - text.length;
  large.write(text, start);
  return large.toString('latin1').slice(start);
}

const large = Buffer.alloc(2 ** 20, '.');
/** So many digits that look like an id. */
const idOf = (text: string, digits: number): string => createHash('sha256').update(text).digest('hex').slice(0, digits);

describe('what is remembered of spans', () => {
  it.each([
    ['values', (text: string) => ({ attributes: { [text.slice(0, 10)]: text } })],
    ['keys', (text: string) => ({ attributes: { [text]: 1 } })],
    ['keys of maps', (text: string) => ({ attributes: { map: { [text]: 1 } } as never })],
    ['names', (text: string) => ({ name: text })],
    ['trace ids', (text: string) => ({ traceId: cutOut(idOf(text, 32)) })],
    ['ids of parents', (text: string) => ({ parentSpanId: cutOut(idOf(text, 16)) })],
    ['trace states', (text: string) => ({ traceState: { serialize: () => text } as TraceState })],
  ])('does not hold the large texts that %s were cut out of', (kind, overrides) => {
    const encodeAll = (times: number, count: number) => {
      for (let i = 0; i < count; i++) {
        for (let time = 0; time < times; time++) {
          encodeSpans([fakeSpan(overrides(cutOut(`${kind}.${i}`.padEnd(40, `${i}`))))]);
        }
      }
    };
    encodeAll(3, 1);
    const before = heapBytes();
    encodeAll(1, 30);
    encodeAll(3, 30);
    expect(heapBytes() - before).toBeLessThan(8 * 2 ** 20);
  });
});

describe('a value that comes again', () => {
  const TEXTS = [
    '',
    'a',
    'b',
    '12',
    '__proto__',
    'of more than thirteen',
    'gr\u00fc\u00df',
    '\ud800 alone',
    'x'.repeat(64),
    'y'.repeat(200),
  ];

  it.each(TEXTS)('is encoded to the same bytes however often: %j', (text) => {
    const span = fakeSpan({ attributes: { [`again ${text}`]: text } });
    const encoded = Array.from({ length: 10 }, () => encodeSpans([span]));
    for (const bytes of encoded) expect(Buffer.compare(bytes, encoded[0]!)).toBe(0);
  });

  it('is never taken for another one, whichever came before', () => {
    let keys = 0;
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...TEXTS), { maxLength: 400 }), (texts) => {
        const key = `mixed ${keys++}`;
        const bytes = encodeSpans(texts.map((text) => fakeSpan({ attributes: { [key]: text } })));
        const read = decodeSpans(bytes).map(({ attributes }) => attributes[key]);
        expect(read).toEqual(texts.map((text) => text.replace('\ud800', '\ufffd')));
      }),
    );
  });

  it('is remembered where it pays, and given up where it does not', () => {
    const often = new KeyField('often', 0, 6);
    const seldom = new KeyField('seldom', 0, 7);
    const bytes = new Uint8Array(48);
    for (let i = 0; i < 1_000; i++) {
      for (const [field, text] of [
        [often, i % 3 === 0 ? `${i}` : 'same'],
        [seldom, `${i}`],
      ] as const) {
        if (field.knownUnits === text.length && field.knownText === text) field.hit();
        else field.missed(text, bytes, 0, 48);
      }
    }
    expect(often.knownText).toBe('same');
    expect(seldom.knownUnits).toBe(-1);
  });
});
