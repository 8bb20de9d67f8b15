import { ConfigurationError } from '@otel-resilience/core';
import { FileObjectStore, type ObjectStore, RetryingObjectStore } from '@otel-resilience/tiered';
import { CommandError, EXIT } from '../exit-code.js';
import type { Terminal } from '../terminal.js';
import { checkDirectory } from './directory.js';
import { type Location, shownLocation } from './location.js';
import { locationError, unusable } from './location-error.js';
import type { S3Flags } from './parameters.js';

/** An archive that can be read. */
export interface Tier {
  readonly location: Location;
  readonly shown: string;
  /** Makes one attempt for each call. */
  readonly store: ObjectStore;
  /** Makes several. */
  readonly retrying: ObjectStore;
}

export interface WantedTier {
  readonly location: Location;
  /** One where there may be nothing yet. */
  readonly isCold?: boolean;
}

/** Opens the places, finds out that each can be listed, and closes them when `use` is over. */
export async function withTiers<T>(
  wanted: readonly WantedTier[],
  flags: S3Flags,
  terminal: Terminal,
  use: (tiers: readonly Tier[]) => Promise<T>,
): Promise<T> {
  const tiers: Tier[] = [];
  try {
    for (const { location, isCold = false } of wanted) {
      if (location.kind === 'directory') await checkDirectory(location, isCold);
      const store = location.kind === 'directory' ? directoryStore(location.path) : await s3Store(location, flags);
      const tier = { location, shown: shownLocation(location), store, retrying: new RetryingObjectStore({ store }) };
      tiers.push(tier);
      await terminal.quietly(() => checkListing(tier));
    }
    return await use(tiers);
  } finally {
    for (const { retrying } of tiers) await retrying.shutdown();
  }
}

async function checkListing({ location, retrying }: Tier): Promise<void> {
  try {
    for await (const _ of retrying.list('traces/', { pageSize: 1 })) break;
  } catch (error) {
    throw locationError(location, error);
  }
}

const directoryStore = (directory: string): ObjectStore => new FileObjectStore({ directory });

async function s3Store(location: Location & { kind: 's3' }, { s3Endpoint, s3Region }: S3Flags): Promise<ObjectStore> {
  const { S3ObjectStore } = await importS3(location);
  // What is not AWS hardly ever has a host for each bucket.
  const isElsewhere = s3Endpoint ?? process.env.AWS_ENDPOINT_URL_S3 ?? process.env.AWS_ENDPOINT_URL;
  const { bucket, prefix } = location;
  try {
    return new S3ObjectStore({
      bucket,
      prefix,
      clientOptions: {
        ...(s3Endpoint && { endpoint: s3Endpoint }),
        ...(s3Region && { region: s3Region }),
        ...(isElsewhere && { forcePathStyle: true }),
      },
    });
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    throw unusable(location, `expected ${error.expected}`, 'See otel-resilience tiers --help.');
  }
}

async function importS3(location: Location) {
  try {
    return await import('@otel-resilience/tiered/s3');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'ERR_MODULE_NOT_FOUND' || !message.includes('@aws-sdk/')) throw error;
    throw new CommandError(
      EXIT.usage,
      `${shownLocation(location)}: the AWS SDK is not installed`,
      'Install it beside this program: npm install @aws-sdk/client-s3, with --global if that is how this was installed.',
    );
  }
}
