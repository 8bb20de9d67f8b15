import type { FileSystem } from '@otel-resilience/core';
import { codeOf, isMissing } from '../spool/file-errors.js';
import { isKeySegment } from './object-key.js';

export interface ObjectWalk {
  readonly fileSystem: FileSystem;
  /** Only keys that begin so. */
  readonly prefix: string;
  /** Only keys after this one. */
  readonly startAfter: string;
  /** Told of every name that no object has. */
  readonly onForeign: (directory: string, name: string) => Promise<void> | void;
}

interface Entry {
  readonly key: string;
  /** What is in it, of a directory. */
  readonly names: readonly string[] | undefined;
}

/** So many entries of a directory are looked at together. */
const TOGETHER = 16;

/**
 * The keys of the objects under a directory, in order. What is a directory is found out by listing it: the spool's file
 * system has no other way.
 */
export async function* walkObjects(root: string, walk: ObjectWalk): AsyncGenerator<string> {
  const names = await namesIn(root, walk.fileSystem);
  if (names) yield* walkDirectory(root, { key: '', names }, walk);
}

async function* walkDirectory(root: string, { key, names }: Entry, walk: ObjectWalk): AsyncGenerator<string> {
  const directory = key === '' ? root : `${root}/${key}`;
  const keys: string[] = [];
  for (const name of names!) {
    const child = key === '' ? name : `${key}/${name}`;
    if (!isKeySegment(name)) await walk.onForeign(directory, name);
    else if (mayMatch(child, walk)) keys.push(child);
  }
  const entries: Entry[] = [];
  for (let at = 0; at < keys.length; at += TOGETHER) {
    const some = keys.slice(at, at + TOGETHER).map(async (child) => entryOf(root, child, walk));
    for (const entry of await Promise.all(some)) if (entry) entries.push(entry);
  }
  entries.sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1));
  for (const entry of entries) {
    if (entry.names) yield* walkDirectory(root, entry, walk);
    else if (entry.key.startsWith(walk.prefix) && entry.key > walk.startAfter) yield entry.key;
  }
}

async function entryOf(root: string, key: string, walk: ObjectWalk): Promise<Entry | undefined> {
  try {
    const names = await namesIn(`${root}/${key}`, walk.fileSystem);
    return names && { key, names };
  } catch (error) {
    if (codeOf(error) === 'ENOTDIR') return { key, names: undefined };
    throw error;
  }
}

async function namesIn(path: string, fileSystem: FileSystem): Promise<string[] | undefined> {
  try {
    return await fileSystem.list(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Whether this is, or may contain, a key that is wanted. */
function mayMatch(key: string, { prefix, startAfter }: ObjectWalk): boolean {
  const contents = `${key}/`;
  if (!key.startsWith(prefix) && !prefix.startsWith(contents)) return false;
  return key > startAfter || contents > startAfter || startAfter.startsWith(contents);
}

/** Where the contents of a directory stand among the keys. */
const orderOf = ({ key, names }: Entry): string => (names ? `${key}/` : key);
