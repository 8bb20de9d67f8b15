import { resolve } from 'node:path';

/** Where an archive is. */
export type Location =
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 's3'; readonly bucket: string; readonly prefix: string };

const BUCKET = /^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/;
const PREFIX = /^(?:[A-Za-z0-9!_.-]+(?:\/[A-Za-z0-9!_.-]+)*)?$/;

/** A path, or `s3://bucket/prefix`. */
export function parseLocation(text: string): Location {
  const [, scheme, rest = ''] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(text) ?? [];
  if (scheme === undefined && text !== '') return { kind: 'directory', path: resolve(text) };
  const [bucket = '', ...segments] = rest.split('/');
  const prefix = segments.join('/').replace(/\/$/, '');
  if (scheme?.toLowerCase() !== 's3' || !BUCKET.test(bucket) || !PREFIX.test(prefix)) {
    throw new Error('expected a directory, or s3://bucket/prefix');
  }
  return { kind: 's3', bucket, prefix };
}

/** As it was given, and as it is shown. */
export function shownLocation(location: Location): string {
  if (location.kind === 'directory') return location.path;
  return location.prefix === '' ? `s3://${location.bucket}` : `s3://${location.bucket}/${location.prefix}`;
}
