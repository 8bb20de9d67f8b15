import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { byteSize, counted, duration, listed, printable, timestamp } from './format.js';
import { VERSION } from './version.js';

it('the version is that of package.json', () => {
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  expect(VERSION).toBe(manifest.version);
});

describe('figures for people', () => {
  it.each([
    [0, '0.0 s'],
    [9_900, '9.9 s'],
    [9_960, '10 s'],
    [59_600, '1 min 0 s'],
    [200_000, '3 min 20 s'],
    [7_500_000, '2 h 5 min'],
    [273_600_000, '3 d 4 h'],
    [-5, '0.0 s'],
  ])('%d ms: %s', (millis, text) => expect(duration(millis)).toBe(text));

  it.each([
    [0, '0 B'],
    [1_023, '1023 B'],
    [1_024, '1.0 KiB'],
    [1.5 * 1_024 ** 3, '1.5 GiB'],
  ])('%d bytes: %s', (bytes, text) => expect(byteSize(bytes)).toBe(text));

  it('have their noun', () => {
    expect(counted(1, 'batch', 'batches')).toBe('1 batch');
    expect(counted(12_345, 'batch', 'batches')).toBe('12,345 batches');
  });

  it('are no error for a time that is none', () => {
    expect(timestamp(Date.UTC(2026, 10, 21, 8, 15, 3, 999))).toBe('2026-11-21 08:15:03Z');
    expect(timestamp(Number.MAX_SAFE_INTEGER)).toBe('?');
  });
});

it('a name does not reach the terminal as an order', () => {
  expect(printable('a\u001b[2J\nb\u202ec é 日本')).toBe('a\\x1b[2J\\x0ab\\u202ec é 日本');
});

it('of many names some are enough', () => {
  expect(listed(['a', 'b'])).toBe('a, b');
  expect(listed(['a', 'b', 'c', 'd', 'e', 'f', 'g'])).toBe('a, b, c, d, e and 2 others');
});
