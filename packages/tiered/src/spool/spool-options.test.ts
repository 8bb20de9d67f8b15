import { ConfigurationError } from '@otel-resilience/core';
import { describe, expect, it } from 'vitest';
import { Spool } from './disk-spool.js';
import { readSpoolOptions } from './spool-options.js';

const directory = '/var/spool/spans';

describe('options of a Spool', () => {
  it('have the documented defaults', () => {
    expect(readSpoolOptions({ directory })).toMatchObject({
      maxBytes: 2 ** 30,
      maxSegmentBytes: 2 ** 24,
      maxAgeMillis: 172_800_000,
      fsync: 'interval',
      fsyncIntervalMillis: 500,
      order: 'oldest',
      dropPolicy: 'oldest',
      required: false,
    });
  });

  it('keep a segment to an eighth of the whole, so that not too much goes at once', () => {
    expect(readSpoolOptions({ directory, maxBytes: 80_000 }).maxSegmentBytes).toBe(10_000);
    expect(readSpoolOptions({ directory, maxBytes: 4_096 }).maxSegmentBytes).toBe(1_024);
  });

  it.each<[object, string]>([
    [{}, 'Spool.directory: expected a non-empty string, got undefined'],
    [{ directory: '' }, 'Spool.directory'],
    [{ directory, maxBytes: 4_095 }, 'Spool.maxBytes: expected at least 4096'],
    [{ directory, maxBytes: '1 GiB' }, 'Spool.maxBytes'],
    [{ directory, maxSegmentBytes: 1_023 }, 'Spool.maxSegmentBytes'],
    [{ directory, maxBytes: 8_192, maxSegmentBytes: 8_193 }, 'Spool.maxSegmentBytes: expected from 1024 to maxBytes'],
    [{ directory, maxAgeMillis: 0 }, 'Spool.maxAgeMillis'],
    [{ directory, fsync: true }, 'Spool.fsync: expected one of always, interval, never'],
    [{ directory, fsyncIntervalMillis: 0 }, 'Spool.fsyncIntervalMillis'],
    [{ directory, order: 'random' }, 'Spool.order'],
    [{ directory, dropPolicy: 'all' }, 'Spool.dropPolicy'],
    [{ directory, required: 'yes' }, 'Spool.required'],
    [{ directory, fileSystem: {} }, 'Spool.fileSystem'],
    [{ directory, clock: {} }, 'Spool.clock'],
    [{ path: directory }, 'Spool.path: expected one of directory'],
  ])('are refused when they are wrong: %j', (options, message) => {
    expect(() => new Spool(options as never)).toThrow(ConfigurationError);
    expect(() => new Spool(options as never)).toThrow(message);
  });
});
