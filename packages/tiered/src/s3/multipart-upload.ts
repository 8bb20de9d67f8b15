import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  type CreateMultipartUploadCommandInput,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { type Clock, sleep } from '@otel-resilience/core';
import { checksumOf, crc32Base64 } from './s3-checksum.js';

export interface MultipartUpload {
  readonly client: S3Client;
  /** Bucket, key, class, encryption. */
  readonly target: CreateMultipartUploadCommandInput;
  readonly bytes: Uint8Array;
  readonly partBytes: number;
  readonly ifNoneMatch: boolean;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** Ends the clean-up, which goes on when `signal` has aborted. */
  readonly ended: AbortSignal;
  /** Told when parts may have been left behind. */
  readonly onOrphan: (error: unknown) => void;
}

const TOGETHER = 4;
const CLEAN_UP_MILLIS = 10_000;
const CLEAN_UP_ATTEMPT_MILLIS = 2_000;
const CLEAN_UP_WAIT_MILLIS = 500;

/**
 * Puts one object in parts. If anything fails the upload is aborted, once no part is under way any more: a part that
 * arrives after the abort would stay for ever, and be paid for.
 */
export async function uploadInParts(upload: MultipartUpload): Promise<void> {
  const { client, target, bytes, partBytes, ifNoneMatch, signal } = upload;
  const { Bucket, Key } = target;
  const create = new CreateMultipartUploadCommand({
    ...target,
    ChecksumAlgorithm: 'CRC32',
    ChecksumType: 'FULL_OBJECT',
  });
  const { UploadId } = await client.send(create, { abortSignal: signal });
  const failed = new AbortController();
  const onAbort = () => failed.abort(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  const count = Math.ceil(bytes.byteLength / partBytes);
  const parts: CompletedPart[] = [];
  let next = 0;

  const uploadParts = async () => {
    while (next < count && !failed.signal.aborted) {
      const index = next++;
      const Body = bytes.subarray(index * partBytes, (index + 1) * partBytes);
      const PartNumber = index + 1;
      const checksum = checksumOf(Body);
      const command = new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body, ...checksum });
      const { ETag } = await client.send(command, { abortSignal: failed.signal });
      parts[index] = { PartNumber, ETag, ChecksumCRC32: checksum.ChecksumCRC32 };
    }
  };
  const uploading = Array.from({ length: Math.min(TOGETHER, count) }, () =>
    uploadParts().catch((error) => {
      if (!failed.signal.aborted) failed.abort(error);
    }),
  );
  try {
    await Promise.all(uploading);
    failed.signal.throwIfAborted();
    const command = new CompleteMultipartUploadCommand({
      Bucket,
      Key,
      UploadId,
      MultipartUpload: { Parts: parts },
      ChecksumType: 'FULL_OBJECT',
      ChecksumCRC32: crc32Base64(bytes),
      ...(ifNoneMatch && { IfNoneMatch: '*' }),
    });
    await client.send(command, { abortSignal: failed.signal });
  } catch (error) {
    await abortUpload(upload, UploadId!);
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Again and again for a while: what made the upload fail may be what is in the way. */
async function abortUpload({ client, target, clock, ended, onOrphan }: MultipartUpload, UploadId: string) {
  const { Bucket, Key } = target;
  const until = clock.now() + CLEAN_UP_MILLIS;
  for (;;) {
    const attempt = new AbortController();
    const onEnded = () => attempt.abort(ended.reason);
    ended.addEventListener('abort', onEnded, { once: true });
    const timer = clock.setTimeout(() => attempt.abort(), CLEAN_UP_ATTEMPT_MILLIS);
    try {
      await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }), { abortSignal: attempt.signal });
      return;
    } catch (error) {
      const { name, $metadata } = error as { name?: unknown; $metadata?: { httpStatusCode?: number } };
      // Completed after all, or aborted by somebody else: nothing is left of it.
      if (name === 'NoSuchUpload') return;
      const isRefused = ($metadata?.httpStatusCode ?? 500) < 500;
      if (isRefused || ended.aborted || clock.now() >= until) return onOrphan(error);
    } finally {
      clock.clearTimeout(timer);
      ended.removeEventListener('abort', onEnded);
    }
    await sleep(clock, CLEAN_UP_WAIT_MILLIS, ended);
  }
}
