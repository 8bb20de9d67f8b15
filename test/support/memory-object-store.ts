import { crc32 } from 'node:zlib';
import { type Clock, systemClock } from '@otel-resilience/core';
import {
  checkKey,
  type GetOptions,
  type HeadOptions,
  type ListedObject,
  type ListOptions,
  type ObjectHead,
  type ObjectStore,
  ObjectStoreError,
  type ObjectStoreErrorCode,
  type ObjectStoreStatus,
  type PutOptions,
  type RestoreOptions,
  type RestoreStatus,
  type StorageClass,
  type StoreCallOptions,
} from '@otel-resilience/tiered';

type Operation = 'put' | 'get' | 'head' | 'list' | 'remove' | 'changeStorageClass' | 'requestRestore';

interface Stored {
  bytes: Uint8Array;
  storageClass: StorageClass;
  restoredAt: number | undefined;
  restoredUntil: number;
}

export interface MemoryObjectStoreOptions {
  readonly clock?: Clock;
  /** How long a restore takes. Default 4 h. */
  readonly restoreMillis?: number;
}

/** A store in memory that archives as S3 does, and fails when it is told to. */
export class MemoryObjectStore implements ObjectStore {
  /** What is in it, to be damaged by tests. */
  readonly objects = new Map<string, Stored>();
  /** Every call that was made. */
  readonly calls: Array<{ operation: Operation; key: string }> = [];
  /** Called before each operation; what it throws is the answer. */
  before: (operation: Operation, key: string) => Promise<void> | void = () => {};
  /** Called after each: what it throws is the answer although the thing is done. */
  after: (operation: Operation, key: string) => Promise<void> | void = () => {};
  private readonly clock: Clock;
  private readonly restoreMillis: number;
  private closed = false;

  constructor({ clock = systemClock, restoreMillis = 4 * 3_600_000 }: MemoryObjectStoreOptions = {}) {
    this.clock = clock;
    this.restoreMillis = restoreMillis;
  }

  /** The next `times` calls of this kind fail so. */
  failNext(operation: Operation, code: ObjectStoreErrorCode, times = 1): void {
    const before = this.before;
    let left = times;
    this.before = async (called, key) => {
      if (called === operation && left-- > 0) throw new ObjectStoreError(code, `${operation} ${key}: as told`);
      await before(called, key);
    };
  }

  get keys(): string[] {
    return [...this.objects.keys()].sort();
  }

  async open(): Promise<void> {}

  async put(key: string, chunks: readonly Uint8Array[], options: PutOptions = {}): Promise<void> {
    await this.call('put', key, options, () => {
      if (options.ifNoneMatch && this.objects.has(key)) throw new ObjectStoreError('EXISTS', `put ${key}`);
      this.objects.set(key, {
        bytes: Buffer.concat(chunks),
        storageClass: options.storageClass ?? 'STANDARD',
        restoredAt: undefined,
        restoredUntil: 0,
      });
    });
  }

  async get(key: string, options: GetOptions): Promise<Uint8Array> {
    return this.call('get', key, options, () => {
      const stored = this.find(key);
      const { state } = this.restoreOf(stored);
      if (state === 'archived' || state === 'restoring') throw new ObjectStoreError('ARCHIVED', `get ${key}`);
      if (stored.bytes.byteLength > options.maxBytes) throw new ObjectStoreError('TOO_LARGE', `get ${key}`);
      return stored.bytes.slice();
    });
  }

  async head(key: string, options: HeadOptions = {}): Promise<ObjectHead | undefined> {
    return this.call('head', key, options, () => {
      const stored = this.objects.get(key);
      return stored && this.headOf(key, stored, options.checksum);
    });
  }

  async *list(prefix: string, { startAfter = '', pageSize = 1_000, ...options }: ListOptions = {}) {
    for (let after = startAfter; ; ) {
      const page = await this.call('list', prefix, options, () =>
        this.keys.filter((key) => key.startsWith(prefix) && key > after).slice(0, pageSize),
      );
      for (const key of page) {
        const stored = this.objects.get(key);
        if (!stored) continue;
        const listed: ListedObject = { key, bytes: stored.bytes.byteLength, storageClass: stored.storageClass };
        yield listed;
      }
      if (page.length < pageSize) return;
      after = page.at(-1)!;
    }
  }

  async remove(key: string, options: StoreCallOptions = {}): Promise<void> {
    await this.call('remove', key, options, () => {
      this.objects.delete(key);
    });
  }

  async changeStorageClass(key: string, storageClass: StorageClass, options: StoreCallOptions = {}) {
    return this.call('changeStorageClass', key, options, () => {
      const stored = this.find(key);
      if (this.restoreOf(stored).state === 'archived') throw new ObjectStoreError('ARCHIVED', `copy ${key}`);
      Object.assign(stored, { storageClass, restoredAt: undefined });
      return this.headOf(key, stored, true);
    });
  }

  async requestRestore(key: string, { days = 7, ...options }: RestoreOptions = {}): Promise<RestoreStatus> {
    return this.call('requestRestore', key, options, () => {
      const stored = this.find(key);
      if (this.restoreOf(stored).state === 'archived') {
        stored.restoredAt = this.clock.wallTime() + this.restoreMillis;
        stored.restoredUntil = stored.restoredAt + days * 86_400_000;
      }
      return this.restoreOf(stored);
    });
  }

  status(): ObjectStoreStatus {
    return { location: 'memory:', state: 'ready', failures: 0, foreign: { count: 0, names: [] } };
  }

  async shutdown(): Promise<void> {
    this.closed = true;
  }

  private async call<T>(operation: Operation, key: string, options: StoreCallOptions, work: () => T): Promise<T> {
    if (this.closed) throw new ObjectStoreError('SHUTDOWN', 'the store has been shut down');
    if (operation !== 'list') checkKey(key);
    this.calls.push({ operation, key });
    if (options.signal?.aborted) throw options.signal.reason;
    if (options.deadline !== undefined && options.deadline <= this.clock.now()) {
      throw new ObjectStoreError('DEADLINE_EXCEEDED', `${operation} ${key}: no time`);
    }
    await this.before(operation, key);
    const result = work();
    await this.after(operation, key);
    return result;
  }

  private find(key: string): Stored {
    const stored = this.objects.get(key);
    if (!stored) throw new ObjectStoreError('NOT_FOUND', `${key}: there is no such object`);
    return stored;
  }

  private headOf(key: string, stored: Stored, checksum = false): ObjectHead {
    const { bytes, storageClass } = stored;
    const head = { key, bytes: bytes.byteLength, storageClass, restore: this.restoreOf(stored) };
    return checksum ? { ...head, crc32: crc32(bytes) } : head;
  }

  private restoreOf({ storageClass, restoredAt, restoredUntil }: Stored): RestoreStatus {
    if (storageClass !== 'GLACIER' && storageClass !== 'DEEP_ARCHIVE') return { state: 'readable' };
    const now = this.clock.wallTime();
    if (restoredAt === undefined || now >= restoredUntil) return { state: 'archived' };
    return now < restoredAt ? { state: 'restoring' } : { state: 'restored', untilMillis: restoredUntil };
  }
}
