import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3';
import {
  aClock,
  boolean,
  type Clock,
  ConfigurationError,
  having,
  integer,
  type OptionReader,
  type OptionsOf,
  oneOf,
  optional,
  readOptions,
  text,
} from '@otel-resilience/core';
import { isKey } from '../object-store/object-key.js';
import { STORAGE_CLASSES, type StorageClass } from '../object-store/object-store.js';

export interface S3ObjectStoreOptions {
  readonly bucket: string;
  /** Before every key, and a slash between; letters, digits and `!_.-/`. Default none. */
  readonly prefix?: string;
  /**
   * For a client of the store's own: region, credentials, endpoint … as `new S3Client` takes them. It makes one attempt
   * per call, and is given 3 s to connect unless a `requestHandler` says otherwise. Default: `{}`, the environment's.
   */
  readonly clientOptions?: S3ClientConfig;
  /** A client of yours instead, which stays yours. Give it `maxAttempts: 1`: otherwise its retries multiply with ours. */
  readonly client?: S3Client;
  /** Of what is put without one; default `STANDARD`. */
  readonly storageClass?: StorageClass;
  /** Whether `open` rejects when the bucket cannot be used. Default false: the status says so, and each call. */
  readonly required?: boolean;
  /** Larger objects are put in parts, in bytes; default 16 MiB, at least 5 MiB and `partBytes`. */
  readonly multipartThresholdBytes?: number;
  /** Default 8 MiB, at least 5 MiB: S3's own bound. */
  readonly partBytes?: number;
  /** Default: what the bucket says. */
  readonly serverSideEncryption?: 'AES256' | 'aws:kms' | 'aws:kms:dsse';
  readonly kmsKeyId?: string;
  readonly clock?: Clock;
}

export const OWNER = 'S3ObjectStore';
const MIN_PART_BYTES = 5 * 1024 * 1024;
const MAX_PART_BYTES = 5 * 1024 * 1024 * 1024;

const SCHEMA = {
  bucket: text(),
  prefix: aPrefix,
  clientOptions: optional(clientOptions()),
  client: optional(having<S3Client>('an S3Client of @aws-sdk/client-s3', ['send', 'destroy'])),
  storageClass: oneOf(STORAGE_CLASSES, { default: 'STANDARD' }),
  required: boolean({ default: false }),
  multipartThresholdBytes: integer({ min: MIN_PART_BYTES, max: MAX_PART_BYTES, default: 16 * 1024 * 1024 }),
  partBytes: integer({ min: MIN_PART_BYTES, max: MAX_PART_BYTES, default: 8 * 1024 * 1024 }),
  serverSideEncryption: optional(oneOf(['AES256', 'aws:kms', 'aws:kms:dsse'], { default: 'AES256' })),
  kmsKeyId: optional(text()),
  clock: optional(aClock),
};

export type ReadS3Options = OptionsOf<typeof SCHEMA>;

/** @throws ConfigurationError naming the option, what was expected and what came. */
export function readS3Options(options: S3ObjectStoreOptions): ReadS3Options {
  const read = readOptions(OWNER, options, SCHEMA);
  if (read.client && read.clientOptions) {
    throw new ConfigurationError(`${OWNER}.client`, 'either client or clientOptions', 'both');
  }
  if (read.multipartThresholdBytes < read.partBytes) {
    const expected = `at least partBytes (${read.partBytes})`;
    throw new ConfigurationError(`${OWNER}.multipartThresholdBytes`, expected, read.multipartThresholdBytes);
  }
  return read;
}

/** With the slash that follows it; '' for none. */
function aPrefix(value: unknown, path: string): string {
  if (value === undefined || value === '') return '';
  const prefix = typeof value === 'string' ? value.replace(/\/$/, '') : '';
  if (isKey(prefix)) return `${prefix}/`;
  throw new ConfigurationError(path, 'segments of letters, digits and !_.- between slashes', value);
}

// Not shown when it is wrong, and never copied in depth: it holds credentials and may hold functions.
function clientOptions(): OptionReader<S3ClientConfig> {
  return (value, path) => {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
    throw new ConfigurationError(path, 'what `new S3Client` takes', typeof value);
  };
}
