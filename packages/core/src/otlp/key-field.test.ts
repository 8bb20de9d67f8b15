import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { fakeSpan } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { encodeSpans } from './encoder.js';

describe('keys', () => {
  it('are not held when they are long, whatever came before them', () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage: () => void = runInNewContext('gc');
    const heldBytes = () => {
      collectGarbage();
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      return heapUsed + arrayBuffers;
    };
    const span = (index: number) =>
      fakeSpan({ attributes: { [`short ${index}`]: 1, [`${index} ${'long'.repeat(2 ** 18)}`]: 2 }, events: [] });
    encodeSpans([span(0)]);
    const before = heldBytes();
    for (let i = 1; i <= 40; i++) encodeSpans([span(i)]);
    expect(heldBytes() - before).toBeLessThan(10 * 2 ** 20);
  });
});
