import { Buffer } from 'node:buffer';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ByteWriter } from './byte-writer.js';
import { WorkingBuffer } from './working-buffer.js';

afterEach(() => void vi.restoreAllMocks());

const throwing = (): never => {
  throw new RangeError('Maximum call stack size exceeded');
};

describe('a working buffer', () => {
  it.each([
    ['copied', () => vi.spyOn(Buffer.prototype, 'copy').mockImplementation(throwing)],
    ['allocated', () => vi.spyOn(Buffer, 'allocUnsafeSlow').mockImplementation(throwing)],
  ])('still has what has been written when more memory cannot be %s', (_, fail) => {
    const buffer = new WorkingBuffer(16);
    const writer = new ByteWriter(buffer);
    writer.raw(Uint8Array.of(1, 2, 3));
    const spy = fail();
    expect(() => writer.reserve(100)).toThrow(RangeError);
    spy.mockRestore();
    writer.raw(new Uint8Array(100).fill(4));
    writer.turnTo(new WorkingBuffer(0));
    expect([...buffer.copy()]).toEqual([1, 2, 3, ...new Array(100).fill(4)]);
    expect(buffer.view.buffer).toBe(buffer.bytes.buffer);
  });

  it('gives back at once what one far larger span has made it', () => {
    const buffer = new WorkingBuffer();
    buffer.growTo(300_000_000);
    buffer.position = 100_000;
    buffer.reset();
    expect(buffer.bytes.length).toBe(131_072);
    expect(buffer.view.byteLength).toBe(131_072);
  });

  it('shrinks by and by when batches become smaller', () => {
    const buffer = new WorkingBuffer(1_048_576);
    buffer.position = 200_000;
    buffer.reset();
    expect(buffer.bytes.length).toBe(524_288);
    buffer.position = 200_000;
    buffer.reset();
    expect(buffer.bytes.length).toBe(524_288);
  });
});
