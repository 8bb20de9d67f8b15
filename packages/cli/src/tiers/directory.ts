import { readdir, realpath } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { STORAGE_CLASSES } from '@otel-resilience/tiered';
import type { Location } from './location.js';
import { unusable } from './location-error.js';

type Directory = Location & { readonly kind: 'directory' };

/** Rejects unless the directory is one in which an archive may be. An empty one is fine. */
export async function checkDirectory(location: Directory, isCold: boolean): Promise<void> {
  const { path } = location;
  let names: string[];
  try {
    names = await readdir(path);
  } catch (error) {
    throw unusable(location, ...explanation(error as NodeJS.ErrnoException, path, isCold));
  }
  if (names.some(isStorageClass)) return;
  if (names.some((name) => name === 'lock' || name.endsWith('.seg'))) {
    throw unusable(
      location,
      'this is the spool of an application, not an archive',
      `See otel-resilience spool ls ${path}`,
    );
  }
  const root = archiveAbove(path);
  if (root) throw unusable(location, 'this lies within an archive', `Give all of it: ${root}`);
  if (names.includes('traces')) {
    const remedy = `Move it to where a directory has it: mkdir ${path}/STANDARD && mv ${path}/traces ${path}/STANDARD/`;
    throw unusable(location, 'it has traces/, as a bucket would, and not STANDARD/traces/', remedy);
  }
}

/** The same for every path to the same directory. */
export const identityOf = (location: Location): Promise<string> | string =>
  location.kind === 'directory' ? realpath(location.path) : `s3://${location.bucket}/${location.prefix}`;

function explanation({ code, message }: NodeJS.ErrnoException, path: string, isCold: boolean): [string, string] {
  switch (code) {
    case 'ENOENT':
      return [
        'there is no such directory',
        isCold
          ? `If that is where old objects are to be, make it first: mkdir -m 700 ${path}`
          : 'Give the one that the application has as directory of its FileObjectStore.',
      ];
    case 'ENOTDIR':
      return ['this is not a directory', 'Give the directory of the FileObjectStore, not a file in it.'];
    case 'EACCES':
    case 'EPERM':
      return ['permission denied', 'Run it as the user that the application runs as.'];
    default:
      return [message, 'Look at the directory and its disk.'];
  }
}

const isStorageClass = (name: string): boolean => (STORAGE_CLASSES as readonly string[]).includes(name);

/** Where `<root>/STANDARD`, or a directory in it, was given for `<root>`. */
function archiveAbove(path: string): string | undefined {
  for (let at = path; at !== dirname(at); at = dirname(at)) {
    const isWithin = at === path || /\/traces(?:\/|$)/.test(path.slice(at.length));
    if (isWithin && isStorageClass(basename(at))) return dirname(at);
  }
  return undefined;
}
