import { AbortMultipartUploadCommand, ListMultipartUploadsCommand, type S3Client } from '@aws-sdk/client-s3';
import { isKey } from '../object-store/object-key.js';

export interface UploadsPlace {
  readonly client: S3Client;
  readonly bucket: string;
  /** Only uploads of keys that begin so, and then are keys of ours. */
  readonly prefix: string;
  readonly signal: AbortSignal;
}

/** Aborts uploads that were begun before then; resolves with how many. A thousand at most: the rest the next time. */
export async function abortUploadsBefore(
  wallMillis: number,
  { client, bucket, prefix, signal }: UploadsPlace,
): Promise<number> {
  const list = new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: prefix });
  const { Uploads = [] } = await client.send(list, { abortSignal: signal });
  let aborted = 0;
  for (const { Key, UploadId, Initiated } of Uploads) {
    if (!Initiated || Initiated.getTime() >= wallMillis || !isKey(Key?.slice(prefix.length) ?? '')) continue;
    const abort = new AbortMultipartUploadCommand({ Bucket: bucket, Key, UploadId });
    await client.send(abort, { abortSignal: signal });
    aborted++;
  }
  return aborted;
}
