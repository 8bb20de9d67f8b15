import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { fakeSpan } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { encodeSpans } from './encoder.js';
import { TextMemory } from './text-memory.js';

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

function heapBytes(): number {
  collectGarbage();
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

/** A slice of a text of a megabyte. */
function cutOut(text: string): string {
  const large = Buffer.from(`${'.'.repeat(2 ** 20)}${text}`).toString('latin1');
  return large.slice(2 ** 20);
}

describe('what is remembered of spans', () => {
  it.each([
    ['values', (text: string) => ({ attributes: { [text.slice(0, 10)]: text } })],
    ['keys', (text: string) => ({ attributes: { [text]: 1 } })],
    ['keys of maps', (text: string) => ({ attributes: { map: { [text]: 1 } } as never })],
    ['names', (text: string) => ({ name: text })],
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

describe('a text memory', () => {
  it.each(['a', '12', '__proto__', 'of more than thirteen', 'gr\u00fc\u00df', '\ud800 alone', 'x'.repeat(64)])(
    'knows %j from the second time on',
    (text) => {
      let encoded = 0;
      const memory = new TextMemory(8, (given) => {
        encoded++;
        return Buffer.from(given);
      });
      const found = Array.from({ length: 5 }, () => memory.get(text));
      expect(found.map((words) => words?.length)).toEqual([undefined, ...new Array(4).fill(Buffer.byteLength(text))]);
      expect(encoded).toBe(1);
    },
  );

  it('never takes a text for another one of the same digest', () => {
    const memory = new TextMemory(8, (given) => Buffer.from(given));
    const texts = ['a', 'b'].map((middle) => `${'x'.repeat(30)}${middle}${'x'.repeat(30)}y`);
    for (let i = 0; i < 20; i++) {
      const text = texts[i % 2]!;
      const words = memory.get(text);
      if (words) expect(Buffer.from(words.words.buffer).toString('latin1', 0, words.length)).toBe(text);
    }
  });
});
