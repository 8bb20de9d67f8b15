import * as nodeFs from 'node:fs';
import { dirname } from 'node:path';
import { isMissing } from './file-errors.js';

type Fs = Pick<typeof nodeFs, 'mkdirSync'>;

const OPTIONS = { mode: 0o700 };

/**
 * Makes a directory, and those above it, for their owner alone. Not by Node's `recursive`: that says ENOENT of a file
 * system that is read-only, and of `/proc`, where nothing can be made, it never returns.
 */
export async function makeDirectory(path: string): Promise<void> {
  let thrown = await made(path);
  if (isMissing(thrown) && dirname(path) !== path) {
    await makeDirectory(dirname(path));
    thrown = await made(path);
  }
  if (thrown && !(await isDirectory(path))) throw thrown;
}

/** The same at once. */
export function makeDirectorySync(path: string, fs: Fs = nodeFs): void {
  let thrown = madeNow(path, fs);
  if (isMissing(thrown) && dirname(path) !== path) {
    makeDirectorySync(dirname(path), fs);
    thrown = madeNow(path, fs);
  }
  if (thrown && !isDirectoryNow(path)) throw thrown;
}

const made = (path: string): Promise<NodeJS.ErrnoException | null> =>
  new Promise((resolve) => nodeFs.mkdir(path, OPTIONS, resolve));

function madeNow(path: string, fs: Fs): NodeJS.ErrnoException | null {
  try {
    fs.mkdirSync(path, OPTIONS);
    return null;
  } catch (thrown) {
    return thrown as NodeJS.ErrnoException;
  }
}

// What could not be made may be there: somebody else has made it, or it is a root.

const isDirectory = (path: string): Promise<boolean> =>
  new Promise((resolve) => nodeFs.stat(path, (error, stats) => resolve(!error && stats.isDirectory())));

function isDirectoryNow(path: string): boolean {
  try {
    return nodeFs.statSync(path).isDirectory();
  } catch {
    return false;
  }
}
