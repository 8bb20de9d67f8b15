import { describe, expect, it } from 'vitest';
import { parseLocation, shownLocation } from './location.js';

describe('a location', () => {
  it.each([
    ['/var/lib/shop', '/var/lib/shop'],
    ['/var/lib/shop/', '/var/lib/shop'],
    ['s3://my-traces', 's3://my-traces'],
    ['s3://my-traces/', 's3://my-traces'],
    ['s3://my-traces/a/b/', 's3://my-traces/a/b'],
  ])('%s is %s', (text, shown) => expect(shownLocation(parseLocation(text))).toBe(shown));

  it.each(['', 's3://', 's3://key:secret@bucket', 's3://bucket/a b', 's3://bucket//x', 'gs://bucket', 'file:///tmp'])(
    '%j is none',
    (text) => {
      expect(() => parseLocation(text)).toThrow('expected a directory, or s3://bucket/prefix');
    },
  );
});
