import type { Readable } from 'node:stream';
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  RestoreObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { type Clock, describeError, systemClock, toError } from '@otel-resilience/core';
import { checkKey, checkPrefix, isKey } from '../object-store/object-key.js';
import type {
  GetOptions,
  HeadOptions,
  ListedObject,
  ListOptions,
  ObjectHead,
  ObjectStore,
  ObjectStoreStatus,
  PutOptions,
  RestoreOptions,
  RestoreStatus,
  StorageClass,
  StoreCallOptions,
} from '../object-store/object-store.js';
import { isNotFound, ObjectStoreError } from '../object-store/object-store-error.js';
import { StoreCalls } from '../object-store/store-calls.js';
import { abortUploadsBefore } from './abandoned-uploads.js';
import { uploadInParts } from './multipart-upload.js';
import { readBody } from './read-body.js';
import { checksumOf } from './s3-checksum.js';
import { classifyS3Error } from './s3-error.js';
import { checkCopy, readS3Head, type TaggedHead, withoutTag } from './s3-head.js';
import { OWNER, type ReadS3Options, readS3Options, type S3ObjectStoreOptions } from './s3-options.js';
import { secretMask } from './secret-mask.js';

const CONNECT_TIMEOUT_MILLIS = 3_000;
/** An upload as old as this has no writer any more. */
const ABANDONED_MILLIS = 24 * 3_600_000;

/**
 * Objects in a bucket of S3, or of what speaks like it. Needs `@aws-sdk/client-s3` and the permissions PutObject,
 * GetObject, DeleteObject and ListBucket; RestoreObject for what is archived, AbortMultipartUpload and
 * ListBucketMultipartUploads for large objects.
 *
 * @throws ConfigurationError naming the option, what was expected and what came.
 */
export class S3ObjectStore implements ObjectStore {
  readonly bucket: string;
  readonly prefix: string;
  private readonly options!: ReadS3Options;
  private readonly client!: S3Client;
  private readonly calls!: StoreCalls;
  private readonly clock!: Clock;

  constructor(options: S3ObjectStoreOptions) {
    const read = readS3Options(options);
    const { bucket, prefix, clientOptions = {}, clock = systemClock } = read;
    this.bucket = bucket;
    this.prefix = prefix;
    const mask = secretMask(clientOptions.credentials);
    const client =
      read.client ??
      new S3Client({
        requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MILLIS },
        ...clientOptions,
        maxAttempts: 1,
      });
    const calls = new StoreCalls(OWNER, `s3://${bucket}/${prefix}`, clock, (error) =>
      classifyS3Error(error, mask, clock.wallTime()),
    );
    // Whoever logs the store shows its bucket, and not the client's credentials.
    for (const [name, value] of Object.entries({ options: read, client, calls, clock })) {
      Object.defineProperty(this, name, { value, enumerable: false });
    }
  }

  async open(options: StoreCallOptions = {}): Promise<void> {
    const opened = this.calls.run(`cannot use the bucket ${this.bucket}`, options, async ({ signal }) => {
      await this.warnOfRetries();
      try {
        await this.client.send(new HeadBucketCommand({ Bucket: this.bucket }), { abortSignal: signal });
      } catch (error) {
        const { code } = classifyS3Error(error, String, this.clock.wallTime());
        if (code === 'NOT_FOUND') throw new ObjectStoreError('NO_BUCKET', 'the bucket does not exist');
        throw error;
      }
    });
    try {
      await opened;
    } catch (error) {
      if (this.options.required) throw error;
      return;
    }
    await this.abortAbandonedUploads(options).catch(() => {});
  }

  async put(key: string, chunks: readonly Uint8Array[], options: PutOptions = {}): Promise<void> {
    checkKey(key);
    const { contentType, storageClass = this.options.storageClass, ifNoneMatch = false } = options;
    const { serverSideEncryption: ServerSideEncryption, kmsKeyId: SSEKMSKeyId } = this.options;
    await this.calls.run(`put ${key}`, options, async ({ signal }) => {
      const bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
      const target = {
        ...this.object(key),
        StorageClass: storageClass,
        ContentType: contentType ?? 'application/octet-stream',
        ServerSideEncryption,
        SSEKMSKeyId,
      };
      if (bytes.byteLength > this.options.multipartThresholdBytes) {
        return this.putInParts(target, bytes, ifNoneMatch, signal);
      }
      const condition = ifNoneMatch ? { IfNoneMatch: '*' } : {};
      const command = new PutObjectCommand({ ...target, ...condition, Body: bytes, ...checksumOf(bytes) });
      await this.client.send(command, { abortSignal: signal });
    });
  }

  async get(key: string, options: GetOptions): Promise<Uint8Array> {
    checkKey(key);
    return this.calls.run(`get ${key}`, options, async ({ signal }) => {
      const command = new GetObjectCommand({ ...this.object(key), ChecksumMode: 'ENABLED' });
      const { Body, ContentLength } = await this.client.send(command, { abortSignal: signal });
      return readBody(Body as Readable, { contentLength: ContentLength, maxBytes: options.maxBytes, signal });
    });
  }

  async head(key: string, options: HeadOptions = {}): Promise<ObjectHead | undefined> {
    checkKey(key);
    try {
      return await this.calls.run(`head ${key}`, options, async ({ signal }) =>
        withoutTag(await this.headOf(key, signal, options.checksum)),
      );
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ListedObject> {
    checkPrefix(prefix);
    const { startAfter, pageSize: MaxKeys } = options;
    let ContinuationToken: string | undefined;
    do {
      const { Contents = [], NextContinuationToken } = await this.calls.run(`list ${prefix}`, options, ({ signal }) =>
        this.client.send(
          new ListObjectsV2Command({
            Bucket: this.bucket,
            Prefix: this.prefix + prefix,
            StartAfter: startAfter && this.prefix + startAfter,
            MaxKeys,
            ContinuationToken,
          }),
          { abortSignal: signal },
        ),
      );
      for (const { Key = '', Size = 0, StorageClass } of Contents) {
        const key = Key.slice(this.prefix.length);
        if (isKey(key)) yield { key, bytes: Size, storageClass: (StorageClass as StorageClass) ?? 'STANDARD' };
        else this.calls.foreign(Key);
      }
      ContinuationToken = NextContinuationToken;
    } while (ContinuationToken);
  }

  /** Where the bucket keeps versions, that of the object stays, under a delete marker. */
  async remove(key: string, options: StoreCallOptions = {}): Promise<void> {
    checkKey(key);
    await this.calls.run(`remove ${key}`, options, ({ signal }) =>
      this.client.send(new DeleteObjectCommand(this.object(key)), { abortSignal: signal }),
    );
  }

  /** By a copy onto itself, within S3. Only of what has not been changed meanwhile. */
  async changeStorageClass(
    key: string,
    storageClass: StorageClass,
    options: StoreCallOptions = {},
  ): Promise<ObjectHead> {
    checkKey(key);
    return this.calls.run(`change the class of ${key}`, options, async ({ signal }) => {
      const before = await this.headOf(key, signal, true);
      if (before.storageClass === storageClass) return withoutTag(before);
      const { Bucket, Key } = this.object(key);
      const command = new CopyObjectCommand({
        Bucket,
        Key,
        CopySource: `${Bucket}/${Key.split('/').map(encodeURIComponent).join('/')}`,
        CopySourceIfMatch: before.tag,
        StorageClass: storageClass,
        MetadataDirective: 'COPY',
        ServerSideEncryption: this.options.serverSideEncryption,
        SSEKMSKeyId: this.options.kmsKeyId,
      });
      await this.client.send(command, { abortSignal: signal });
      const after = await this.headOf(key, signal, true);
      checkCopy(before, after, storageClass);
      return withoutTag(after);
    });
  }

  async requestRestore(key: string, options: RestoreOptions = {}): Promise<RestoreStatus> {
    checkKey(key);
    const { days: Days = 7, tier: Tier = 'Standard' } = options;
    return this.calls.run(`restore ${key}`, options, async ({ signal }) => {
      const { restore } = await this.headOf(key, signal);
      if (restore.state !== 'archived') return restore;
      const RestoreRequest = { Days, GlacierJobParameters: { Tier } };
      try {
        await this.client.send(new RestoreObjectCommand({ ...this.object(key), RestoreRequest }), {
          abortSignal: signal,
        });
      } catch (error) {
        if (toError(error).name !== 'RestoreAlreadyInProgress') throw error;
      }
      return (await this.headOf(key, signal)).restore;
    });
  }

  /**
   * Aborts uploads under the prefix that were begun more than 24 h ago, by a process that was killed: their parts are paid
   * for and seen by nobody. `open` does it as well. Resolves with how many there were.
   */
  async abortAbandonedUploads(options: StoreCallOptions = {}): Promise<number> {
    return this.calls.run('abort abandoned uploads', options, async ({ signal }) => {
      const { client, bucket, prefix } = this;
      const aborted = await abortUploadsBefore(this.clock.wallTime() - ABANDONED_MILLIS, {
        client,
        bucket,
        prefix,
        signal,
      });
      if (aborted > 0) this.calls.warn('abandoned', () => `aborted ${aborted} uploads that nobody had finished`);
      return aborted;
    });
  }

  status(): ObjectStoreStatus {
    return this.calls.status();
  }

  async shutdown({ deadline }: { readonly deadline?: number } = {}): Promise<void> {
    await this.calls.shutdown(deadline);
    if (!this.options.client) this.client.destroy();
  }

  private putInParts(
    target: { Bucket: string; Key: string },
    bytes: Uint8Array,
    ifNoneMatch: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const { client, clock } = this;
    return uploadInParts({
      client,
      target,
      bytes,
      partBytes: this.options.partBytes,
      ifNoneMatch,
      signal,
      clock,
      ended: this.calls.ended,
      onOrphan: (error) =>
        this.calls.warn(
          'orphan',
          () => `parts of ${target.Key} may be left until open: ${describeError(toError(error))}`,
        ),
    });
  }

  private object(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.bucket, Key: this.prefix + key };
  }

  private async headOf(key: string, signal: AbortSignal, checksum = false): Promise<TaggedHead> {
    const ChecksumMode = checksum ? 'ENABLED' : undefined;
    const command = new HeadObjectCommand({ ...this.object(key), ChecksumMode });
    const answer = await this.client.send(command, { abortSignal: signal });
    return readS3Head(key, answer, checksum);
  }

  private async warnOfRetries(): Promise<void> {
    const { client } = this.options;
    if (!client) return;
    const attempts = await client.config?.maxAttempts?.();
    if (attempts > 1) {
      this.calls.warn(
        'retries',
        () => `the client makes ${attempts} attempts per call, which multiply with our retries`,
      );
    }
  }
}
