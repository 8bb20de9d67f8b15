import { resolve } from 'node:path';
import {
  aClock,
  boolean,
  type Clock,
  type FileSystem,
  having,
  oneOf,
  optional,
  readOptions,
  systemClock,
  text,
} from '@otel-resilience/core';
import { codeOf } from '../spool/file-errors.js';
import { nodeFileSystem } from '../spool/node-file-system.js';
import { storeErrorOf } from './file-store-error.js';
import { KeyedQueue } from './keyed-queue.js';
import { ObjectFiles } from './object-files.js';
import { checkKey, checkPrefix } from './object-key.js';
import {
  type GetOptions,
  type HeadOptions,
  isStorageClass,
  type ListedObject,
  type ListOptions,
  type ObjectHead,
  type ObjectStore,
  type ObjectStoreStatus,
  type PutOptions,
  type RestoreStatus,
  STORAGE_CLASSES,
  type StorageClass,
  type StoreCallOptions,
} from './object-store.js';
import { ObjectStoreError } from './object-store-error.js';
import { walkObjects } from './object-walk.js';
import { StoreCalls } from './store-calls.js';

export interface FileObjectStoreOptions {
  /** Made where it is missing, 0700. */
  readonly directory: string;
  /** Of what is put without one; default `STANDARD`. Says where the file lies, and nothing more. */
  readonly storageClass?: StorageClass;
  /** Whether `open` rejects when the directory cannot be written to. Default false: the status says so, and each call. */
  readonly required?: boolean;
  readonly clock?: Clock;
  /** Default: node's. */
  readonly fileSystem?: FileSystem;
}

const OWNER = 'FileObjectStore';
const SCHEMA = {
  directory: text(),
  storageClass: oneOf(STORAGE_CLASSES, { default: 'STANDARD' }),
  required: boolean({ default: false }),
  clock: optional(aClock),
  fileSystem: optional(having<FileSystem>('a FileSystem', ['makeDirectory', 'list', 'open', 'rename', 'remove'])),
};
const READABLE: RestoreStatus = { state: 'readable' };

/**
 * Objects as files: `<directory>/<storage class>/<key>`, 0600. A file is there as a whole or not at all, also after a
 * crash: it is written beside its place, synced and renamed. Any class may be a directory on a device of its own.
 *
 * Calls for the same key are made one after the other within a process. Between processes `ifNoneMatch` is a look and a
 * step: two that put the same key at the same moment may both succeed, and the later one's bytes stay.
 *
 * @throws ConfigurationError naming the option, what was expected and what came.
 */
export class FileObjectStore implements ObjectStore {
  readonly directory: string;
  private readonly options: { readonly storageClass: StorageClass; readonly required: boolean };
  private readonly fileSystem: FileSystem;
  private readonly files: ObjectFiles;
  private readonly calls: StoreCalls;
  private readonly queue = new KeyedQueue();

  constructor(options: FileObjectStoreOptions) {
    const {
      directory,
      clock = systemClock,
      fileSystem = nodeFileSystem,
      ...rest
    } = readOptions(OWNER, options, SCHEMA);
    this.directory = resolve(directory).replaceAll('\\', '/');
    this.options = rest;
    this.fileSystem = fileSystem;
    this.files = new ObjectFiles(this.directory, fileSystem, clock);
    this.calls = new StoreCalls(OWNER, `file://${this.directory}`, clock, storeErrorOf);
  }

  async open(options: StoreCallOptions = {}): Promise<void> {
    const probe = this.pathOf(this.options.storageClass, `write-probe-${process.pid}`);
    const opened = this.calls.run(`cannot write to ${this.directory}`, options, async ({ signal }) => {
      await this.files.write(probe, [], signal);
      await this.files.remove(probe);
      await this.files.ensureDirectory(this.pathOf(this.options.storageClass));
    });
    await (this.options.required ? opened : opened.catch(() => {}));
  }

  async put(key: string, chunks: readonly Uint8Array[], options: PutOptions = {}): Promise<void> {
    const wanted = options.storageClass;
    await this.change(key, 'put', options, async (signal) => {
      const existing = await this.find(key);
      if (existing && options.ifNoneMatch) {
        // Who is told so relies on it.
        await this.files.makeLasting(this.pathOf(existing.storageClass, key));
        throw new ObjectStoreError('EXISTS', 'there is an object of this key');
      }
      // Replaced where it lies, and then moved: at no moment are there two of different content.
      const storageClass = existing?.storageClass ?? wanted ?? this.options.storageClass;
      await this.files.write(this.pathOf(storageClass, key), chunks, signal);
      if (existing) await this.removeCopies(key, storageClass);
      const target = wanted ?? this.options.storageClass;
      if (target !== storageClass) {
        await this.files.move(this.pathOf(storageClass, key), this.pathOf(target, key), signal);
      }
    });
  }

  async get(key: string, options: GetOptions): Promise<Uint8Array> {
    checkKey(key);
    return this.calls.run(`get ${key}`, options, async () => {
      const { storageClass } = await this.findOrThrow(key);
      return this.files.read(this.pathOf(storageClass, key), options.maxBytes);
    });
  }

  async head(key: string, options: HeadOptions = {}): Promise<ObjectHead | undefined> {
    checkKey(key);
    return this.calls.run(`head ${key}`, options, async ({ signal }) => {
      const found = await this.find(key);
      if (!found || !options.checksum) return found;
      return { ...found, crc32: await this.files.crc32(this.pathOf(found.storageClass, key), signal) };
    });
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ListedObject> {
    checkPrefix(prefix);
    const { pageSize = 1_000, startAfter = '' } = options;
    const objects = this.objects(prefix, startAfter);
    for (;;) {
      const page = await this.calls.run(`list ${prefix}`, options, async ({ signal }) => {
        const found: ListedObject[] = [];
        while (found.length < pageSize) {
          signal.throwIfAborted();
          const next = await objects.next();
          if (next.done) break;
          found.push(next.value);
        }
        return found;
      });
      yield* page;
      if (page.length < pageSize) return;
    }
  }

  async remove(key: string, options: StoreCallOptions = {}): Promise<void> {
    await this.change(key, 'remove', options, async () => {
      for (const storageClass of await this.classes()) await this.files.remove(this.pathOf(storageClass, key));
    });
  }

  changeStorageClass(key: string, storageClass: StorageClass, options: StoreCallOptions = {}): Promise<ObjectHead> {
    return this.change(key, 'change the class of', options, async (signal) => {
      const { storageClass: current, bytes } = await this.findOrThrow(key);
      if (current !== storageClass) {
        await this.files.move(this.pathOf(current, key), this.pathOf(storageClass, key), signal);
      }
      await this.removeCopies(key, storageClass);
      const moved = await this.find(key);
      if (moved?.storageClass !== storageClass || moved.bytes !== bytes) {
        throw new ObjectStoreError('CHECKSUM', `not as it was: ${moved?.bytes} of ${bytes} bytes`);
      }
      return moved;
    });
  }

  async requestRestore(key: string, options: StoreCallOptions = {}): Promise<RestoreStatus> {
    checkKey(key);
    return this.calls.run(`restore ${key}`, options, async () => (await this.findOrThrow(key)).restore);
  }

  status(): ObjectStoreStatus {
    return this.calls.status();
  }

  shutdown({ deadline }: { readonly deadline?: number } = {}): Promise<void> {
    return this.calls.shutdown(deadline);
  }

  private async change<T>(
    key: string,
    what: string,
    options: StoreCallOptions,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    checkKey(key);
    return this.calls.run(`${what} ${key}`, options, ({ signal }) => this.queue.run(key, () => work(signal)));
  }

  private pathOf(storageClass: StorageClass, key = ''): string {
    return key === '' ? `${this.directory}/${storageClass}` : `${this.directory}/${storageClass}/${key}`;
  }

  /** Those there are, and no other name. */
  private async classes(): Promise<StorageClass[]> {
    let names: string[];
    try {
      names = await this.fileSystem.list(this.directory);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return [];
      throw error;
    }
    for (const name of names) if (!isStorageClass(name)) this.calls.foreign(name);
    return STORAGE_CLASSES.filter((storageClass) => names.includes(storageClass));
  }

  private async find(key: string): Promise<ObjectHead | undefined> {
    for (let classes = await this.classes(); ; ) {
      for (const storageClass of classes) {
        const bytes = await this.files.size(this.pathOf(storageClass, key));
        if (bytes !== undefined) return { key, bytes, storageClass, restore: READABLE };
      }
      // It may have been moved meanwhile, as the first of a class.
      const before = classes;
      classes = await this.classes();
      if (classes.every((storageClass) => before.includes(storageClass))) return undefined;
    }
  }

  /** Left by a crash while it was moved: the same object is at both places then. */
  private async removeCopies(key: string, except: StorageClass): Promise<void> {
    for (const other of await this.classes()) {
      if (other !== except) await this.files.remove(this.pathOf(other, key));
    }
  }

  private async findOrThrow(key: string): Promise<ObjectHead> {
    const found = await this.find(key);
    if (!found) throw new ObjectStoreError('NOT_FOUND', 'there is no such object');
    return found;
  }

  /** Of all classes, in the order of keys, each once. */
  private async *objects(prefix: string, startAfter: string): AsyncGenerator<ListedObject> {
    const walks = (await this.classes()).map((storageClass) => ({
      storageClass,
      keys: walkObjects(this.pathOf(storageClass), {
        fileSystem: this.fileSystem,
        prefix,
        startAfter,
        onForeign: (directory, name) => this.onForeign(directory, name),
      }),
      key: undefined as string | undefined,
    }));
    const step = async (walk: (typeof walks)[number]) => {
      const next = await walk.keys.next();
      walk.key = next.done ? undefined : next.value;
    };
    for (const walk of walks) await step(walk);
    for (;;) {
      const key = walks.reduce<string | undefined>(
        (least, walk) => (walk.key !== undefined && (least === undefined || walk.key < least) ? walk.key : least),
        undefined,
      );
      if (key === undefined) return;
      const [first, ...copies] = walks.filter((walk) => walk.key === key);
      const { storageClass } = first!;
      const bytes = await this.files.size(this.pathOf(storageClass, key));
      // Moved to another class since its directory was read.
      const found = bytes === undefined ? await this.find(key) : { bytes, storageClass };
      if (found) yield { key, bytes: found.bytes, storageClass: found.storageClass };
      for (const walk of [first!, ...copies]) await step(walk);
    }
  }

  private async onForeign(directory: string, name: string): Promise<void> {
    if (!this.files.isDraft(name)) this.calls.foreign(`${directory.slice(this.directory.length + 1)}/${name}`);
    else if (await this.files.removeAbandoned(directory, name)) {
      this.calls.warn('draft', () => `removed what a writer has left unfinished: ${name}`);
    }
  }
}
