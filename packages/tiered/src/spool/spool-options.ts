import {
  aClock,
  boolean,
  type Clock,
  ConfigurationError,
  type FileSystem,
  having,
  millis,
  type OptionsOf,
  oneOf,
  optional,
  positiveInteger,
  readOptions,
  text,
} from '@otel-resilience/core';

export interface SpoolOptions {
  /**
   * Where the segments lie; made, with mode 0700, when it is not there. One process writes to it: another one with the
   * same directory gets a directory of its own in it. No default, since a shared temporary directory would be none.
   */
  readonly directory: string;
  /** Bytes it may take on disk; default 1,073,741,824 (1 GiB), at least 4,096. */
  readonly maxBytes?: number;
  /**
   * Bytes of a segment, the unit in which the oldest is given up; default 16,777,216 (16 MiB), at least 1,024, at most
   * `maxBytes`. An eighth of `maxBytes` where that is less.
   */
  readonly maxSegmentBytes?: number;
  /** How long spans may wait, in milliseconds; default 172,800,000 (48 h), at least 1. Whole segments expire. */
  readonly maxAgeMillis?: number;
  /**
   * When what is appended survives the machine, and not only the process. `always`: when `append` has resolved, after
   * `fdatasync`. `interval` (default): within `fsyncIntervalMillis`. `never`: when the system likes.
   */
  readonly fsync?: 'always' | 'interval' | 'never';
  /** With `interval`, in milliseconds; default 500, at least 1. */
  readonly fsyncIntervalMillis?: number;
  /** What is leased first; default `oldest`. */
  readonly order?: 'oldest' | 'newest';
  /** What is given up when it is full: `oldest` (default), whole segments; `newest`, what is appended. */
  readonly dropPolicy?: 'oldest' | 'newest';
  /**
   * Whether `open()` rejects when the directory cannot be used; default `false`: batches wait in memory (64 MiB at most)
   * meanwhile, and the disk is tried again after 1, 2, 4 … 60 s.
   */
  readonly required?: boolean;
  readonly clock?: Clock;
  /** Default: that of the machine. */
  readonly fileSystem?: FileSystem;
}

const OWNER = 'Spool';
const SCHEMA = {
  directory: text(),
  maxBytes: positiveInteger({ default: 1024 * 1024 * 1024 }),
  maxSegmentBytes: positiveInteger({ default: 16 * 1024 * 1024 }),
  maxAgeMillis: millis({ default: 48 * 3_600_000, min: 1 }),
  fsync: oneOf(['always', 'interval', 'never'], { default: 'interval' }),
  fsyncIntervalMillis: millis({ default: 500, min: 1 }),
  order: oneOf(['oldest', 'newest'], { default: 'oldest' }),
  dropPolicy: oneOf(['oldest', 'newest'], { default: 'oldest' }),
  required: boolean({ default: false }),
  clock: optional(aClock),
  fileSystem: optional(
    having<FileSystem>('a FileSystem', [
      'makeDirectory',
      'list',
      'open',
      'rename',
      'remove',
      'removeDirectory',
      'syncDirectory',
    ]),
  ),
};

export type SpoolSettings = OptionsOf<typeof SCHEMA>;

const MIN_BYTES = 4_096;
const MIN_SEGMENT_BYTES = 1_024;
/** So much at most goes at once when the oldest segment is given up. */
const SEGMENT_SHARE_OF_BYTES = 1 / 8;

/** @throws ConfigurationError naming the option, what was expected and what came. */
export function readSpoolOptions(options: unknown): SpoolSettings {
  const read = readOptions(OWNER, options, SCHEMA);
  const { maxBytes, maxSegmentBytes } = read;
  if (maxBytes < MIN_BYTES) throw new ConfigurationError(`${OWNER}.maxBytes`, `at least ${MIN_BYTES}`, maxBytes);
  const given = (options as SpoolOptions).maxSegmentBytes !== undefined;
  if (given && (maxSegmentBytes < MIN_SEGMENT_BYTES || maxSegmentBytes > maxBytes)) {
    const expected = `from ${MIN_SEGMENT_BYTES} to maxBytes (${maxBytes})`;
    throw new ConfigurationError(`${OWNER}.maxSegmentBytes`, expected, maxSegmentBytes);
  }
  const share = Math.max(MIN_SEGMENT_BYTES, Math.floor(maxBytes * SEGMENT_SHARE_OF_BYTES));
  return { ...read, maxSegmentBytes: Math.min(maxSegmentBytes, share) };
}
