import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { Clock, FileSystem, OpenFile } from '@otel-resilience/core';
import { codeOf, isMissing, quietly } from '../spool/file-errors.js';
import { writeFully } from '../spool/segment-writer.js';
import { parentOf, withFile } from '../spool/with-file.js';
import { ObjectStoreError } from './object-store-error.js';

/** How a file begins that is being written, followed by when it was begun. */
const DRAFT_PREFIX = '.put-';
/** A draft as old as this has no writer any more. */
const ABANDONED_MILLIS = 24 * 3_600_000;
const MAX_KNOWN_DIRECTORIES = 10_000;
/** Whoever removes what is empty may take a directory away in which a file is about to be created. */
const MAX_TURNS = 5;
const READ_BYTES = 1024 * 1024;

/**
 * Files that come into being as a whole: written under another name in the same directory, synced, renamed, and the
 * directory synced, together with those that had to be made for it.
 */
export class ObjectFiles {
  private readonly root: string;
  private readonly fileSystem: FileSystem;
  private readonly clock: Clock;
  /** Directories that are there for certain, and durably so, unless somebody has removed them. */
  private readonly known = new Set<string>();

  constructor(root: string, fileSystem: FileSystem, clock: Clock) {
    this.root = root;
    this.fileSystem = fileSystem;
    this.clock = clock;
  }

  /** Replaces what was there. */
  async write(path: string, chunks: readonly Uint8Array[], signal: AbortSignal): Promise<void> {
    const { fileSystem } = this;
    const directory = parentOf(path);
    const { file, draft } = await this.createDraft(directory);
    try {
      try {
        await writeAll(file, chunks, signal);
        await file.sync();
      } finally {
        await file.close();
      }
      signal.throwIfAborted();
      await fileSystem.rename(draft, path);
    } catch (error) {
      await quietly(fileSystem.remove(draft));
      throw error;
    }
    await fileSystem.syncDirectory(directory);
  }

  /** A file that is there has been synced, but perhaps not its name: whoever wrote it may have been killed before that. */
  async makeLasting(path: string): Promise<void> {
    await this.ensureDirectory(parentOf(path));
    await this.fileSystem.syncDirectory(parentOf(path));
  }

  /** `undefined` where there is no such file. */
  async size(path: string): Promise<number | undefined> {
    try {
      return await withFile(this.fileSystem.open(path, 'read'), async (file) => {
        await file.read(new Uint8Array(1), 0); // a directory can be opened, but not read
        return file.size();
      });
    } catch (error) {
      if (['ENOENT', 'ENOTDIR', 'EISDIR'].includes(codeOf(error) ?? '')) return undefined;
      throw error;
    }
  }

  read(path: string, maxBytes: number): Promise<Uint8Array> {
    return withFile(this.fileSystem.open(path, 'read'), async (file) => {
      const size = await file.size();
      if (size > maxBytes) {
        throw new ObjectStoreError('TOO_LARGE', `${size} bytes, where ${maxBytes} were declared`);
      }
      const bytes = new Uint8Array(size);
      for (let at = 0; at < size; ) {
        const count = await file.read(bytes.subarray(at), at);
        if (count === 0) throw new ObjectStoreError('CHECKSUM', `ends at byte ${at} of ${size}`);
        at += count;
      }
      return bytes;
    });
  }

  /** Of what the file holds by now. */
  crc32(path: string, signal: AbortSignal): Promise<number> {
    return withFile(this.fileSystem.open(path, 'read'), async (file) => {
      const window = Buffer.allocUnsafe(READ_BYTES);
      let crc = 0;
      for (let at = 0; ; ) {
        signal.throwIfAborted();
        const count = await file.read(window, at);
        if (count === 0) return crc;
        crc = crc32(window.subarray(0, count), crc);
        at += count;
      }
    });
  }

  /** To another directory; where that is on another device, by a copy that is compared before the source goes. */
  async move(from: string, to: string, signal: AbortSignal): Promise<void> {
    const { fileSystem } = this;
    try {
      await this.inDirectory(parentOf(to), () => fileSystem.rename(from, to));
    } catch (error) {
      if (codeOf(error) !== 'EXDEV') throw error;
      await this.write(to, [await this.read(from, Number.POSITIVE_INFINITY)], signal);
      if ((await this.crc32(from, signal)) !== (await this.crc32(to, signal))) {
        throw new ObjectStoreError('CHECKSUM', 'the copy on the other device is not what was copied');
      }
      await fileSystem.remove(from);
    }
    // The new entry first: a crash may leave two of them, and never none.
    await fileSystem.syncDirectory(parentOf(to));
    await this.syncRemoval(parentOf(from));
    await this.removeEmpty(parentOf(from));
  }

  /** Fine where there is none. */
  async remove(path: string): Promise<void> {
    try {
      await this.fileSystem.remove(path);
    } catch (error) {
      if (isMissing(error) || codeOf(error) === 'ENOTDIR') return;
      throw error;
    }
    await this.syncRemoval(parentOf(path));
    await this.removeEmpty(parentOf(path));
  }

  isDraft(name: string): boolean {
    return name.startsWith(DRAFT_PREFIX);
  }

  /** Removes a draft whose writer is gone. */
  async removeAbandoned(directory: string, name: string): Promise<boolean> {
    const begunAt = Number.parseInt(name.slice(DRAFT_PREFIX.length), 36);
    if (!(Math.abs(this.clock.wallTime() - begunAt) > ABANDONED_MILLIS)) return false;
    await quietly(this.fileSystem.remove(`${directory}/${name}`));
    return true;
  }

  /** With its parents, durably. */
  async ensureDirectory(directory: string): Promise<void> {
    if (this.known.has(directory)) return;
    await this.fileSystem.makeDirectory(directory);
    for (let path = directory; path.length >= this.root.length; path = parentOf(path)) {
      if (this.known.has(path)) break;
      await this.fileSystem.syncDirectory(parentOf(path));
    }
    if (this.known.size >= MAX_KNOWN_DIRECTORIES) this.known.clear();
    this.known.add(directory);
  }

  private async createDraft(directory: string): Promise<{ file: OpenFile; draft: string }> {
    const begunAt = Math.max(0, Math.floor(this.clock.wallTime())).toString(36);
    const draft = `${directory}/${DRAFT_PREFIX}${begunAt}-${randomBytes(8).toString('hex')}`;
    const file = await this.inDirectory(directory, () => this.fileSystem.open(draft, 'create'));
    return { file, draft };
  }

  /** Made first, and again where somebody has removed it meanwhile, since it was empty still. */
  private async inDirectory<T>(directory: string, work: () => Promise<T>): Promise<T> {
    for (let turn = 1; ; turn++) {
      await this.ensureDirectory(directory);
      try {
        return await work();
      } catch (error) {
        this.known.clear();
        if (!isMissing(error) || turn === MAX_TURNS) throw error;
      }
    }
  }

  /** Where the directory itself is gone by now, since somebody else found it empty, that is what has to last. */
  private async syncRemoval(directory: string): Promise<void> {
    for (let path = directory; ; path = parentOf(path)) {
      try {
        return await this.fileSystem.syncDirectory(path);
      } catch (error) {
        if (!isMissing(error) || path.length <= this.root.length) throw error;
      }
    }
  }

  /** Directories under the root that hold nothing any more. */
  private async removeEmpty(directory: string): Promise<void> {
    for (let path = directory; path.length > this.root.length; path = parentOf(path)) {
      this.known.delete(path);
      try {
        await this.fileSystem.removeDirectory(path);
      } catch {
        return;
      }
    }
  }
}

async function writeAll(file: OpenFile, chunks: readonly Uint8Array[], signal: AbortSignal): Promise<void> {
  let at = 0;
  for (const chunk of chunks) {
    signal.throwIfAborted();
    if (chunk.byteLength > 0) at = await writeFully(file, [chunk], at);
  }
}
