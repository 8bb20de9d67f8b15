import * as fs from 'node:fs';
import type { FileSystem, OpenFile } from '@otel-resilience/core';
import { makeDirectory } from './make-directory.js';

const { O_RDONLY, O_NONBLOCK = 0 } = fs.constants;
/** Nobody waits for whoever writes to a pipe; of any other file it means nothing. */
export const READ_FLAGS: number = O_RDONLY | O_NONBLOCK;
const FLAGS = { create: 'wx+', update: 'r+', read: READ_FLAGS } as const;

/** That of the machine. Files are 0600, directories 0700. */
export const nodeFileSystem: FileSystem = {
  makeDirectory,
  list: (path) => call((done) => fs.readdir(path, done)),
  open: async (path, how) => new NodeFile(await openFile(path, FLAGS[how])),
  rename: (from, to) => call((done) => fs.rename(from, to, done)),
  remove: (path) => call((done) => fs.unlink(path, done)),
  removeDirectory: (path) => call((done) => fs.rmdir(path, done)),
  syncDirectory: async (path) => {
    // Windows opens no directories, and needs none to be synced.
    if (process.platform === 'win32') return;
    const descriptor = await openFile(path, 'r');
    try {
      await call<void>((done) => fs.fsync(descriptor, done));
    } finally {
      await call<void>((done) => fs.close(descriptor, done));
    }
  },
};

class NodeFile implements OpenFile {
  private readonly descriptor: number;

  constructor(descriptor: number) {
    this.descriptor = descriptor;
  }

  async size(): Promise<number> {
    return (await call<fs.Stats>((done) => fs.fstat(this.descriptor, done))).size;
  }

  read(into: Uint8Array, position: number): Promise<number> {
    return call((done) => fs.read(this.descriptor, into, 0, into.byteLength, position, done));
  }

  write(chunks: readonly Uint8Array[], position: number): Promise<number> {
    return call((done) => fs.writev(this.descriptor, chunks as Uint8Array[], position, done));
  }

  sync(): Promise<void> {
    return call((done) => fs.fdatasync(this.descriptor, done));
  }

  truncate(length: number): Promise<void> {
    return call((done) => fs.ftruncate(this.descriptor, length, done));
  }

  close(): Promise<void> {
    return call((done) => fs.close(this.descriptor, done));
  }
}

const openFile = (path: string, flags: string | number): Promise<number> =>
  call((done) => fs.open(path, flags, 0o600, done));

/** Callbacks, since a file handle of `fs.promises` costs the main thread more. */
function call<T>(start: (done: (error: Error | null, value?: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => (error ? reject(error) : resolve(value as T)));
  });
}
