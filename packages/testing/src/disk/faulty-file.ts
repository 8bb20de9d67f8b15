import type { OpenFile } from '@otel-resilience/core';
import type { DiskCalls } from './disk-calls.js';
import { diskError } from './disk-error.js';
import type { DiskOperationKind, OperationDetails } from './disk-operation.js';
import type { FileNode } from './file-node.js';
import { randomInteger } from './random.js';
import { survivals } from './survival.js';

/** What an open file needs of its disk. */
export interface FileHost {
  readonly calls: DiskCalls;
  readonly random: () => number;
  readonly shortWrites: number;
  readonly shortReads: number;
  /** Bytes by which files may still grow. */
  readonly freeBytes: number;
  readonly readOnly: boolean;
  closed(file: FileNode): void;
}

/** A handle. Copies of one file share what is in it. */
export class FaultyFile implements OpenFile {
  private readonly host: FileHost;
  private readonly file: FileNode;
  private readonly path: string;
  private readonly isWritable: boolean;
  private isClosed = false;

  constructor(host: FileHost, file: FileNode, path: string, isWritable: boolean) {
    this.host = host;
    this.file = file;
    this.path = path;
    this.isWritable = isWritable;
  }

  size(): Promise<number> {
    return this.make('size', {}, () => this.file.size);
  }

  read(into: Uint8Array, position: number): Promise<number> {
    return this.make('read', { position, bytes: into.length }, () => {
      const there = this.file.read(position, position + into.length);
      const read = there.subarray(0, this.partOf(there.length, this.host.shortReads));
      into.set(read);
      return read.length;
    });
  }

  write(chunks: readonly Uint8Array[], position: number): Promise<number> {
    const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    const write = (bytes: number) => {
      const all = new Uint8Array(Buffer.concat(chunks));
      this.file.write(all.subarray(0, bytes), position);
      return bytes;
    };
    return this.make(
      'write',
      { position, bytes: length },
      () => {
        this.checkWritable('write');
        const fits = Math.min(length, this.file.size - position + this.host.freeBytes);
        if (fits <= 0 && length > 0) throw diskError('ENOSPC', 'write', this.path);
        return write(this.partOf(fits, this.host.shortWrites));
      },
      // Nobody says how much of it there is.
      () => {
        const fits = Math.min(length, this.file.size - position + this.host.freeBytes);
        if (fits > 0 && this.isWritable) write(randomInteger(this.host.random, fits + 1));
      },
    );
  }

  sync(): Promise<void> {
    const { changes } = this.file;
    return this.make(
      'sync',
      {},
      () => this.file.sync(changes),
      ({ keep }) => this.file.loseSync(changes, survivals(keep, this.host.random)()),
    );
  }

  truncate(length: number): Promise<void> {
    return this.make('truncate', { bytes: length }, () => {
      this.checkWritable('ftruncate', 'EINVAL');
      if (length - this.file.size > this.host.freeBytes) throw diskError('ENOSPC', 'ftruncate', this.path);
      this.file.truncate(length);
    });
  }

  close(): Promise<void> {
    const close = () => {
      this.isClosed = true;
      this.host.closed(this.file);
    };
    return this.make('close', {}, close, close);
  }

  private make<T>(
    kind: DiskOperationKind,
    details: Omit<OperationDetails, 'path'>,
    effect: () => T,
    onFault?: Parameters<DiskCalls['make']>[3],
  ): Promise<T> {
    const open = () => {
      if (this.isClosed) throw diskError('EBADF', kind, this.path);
      return effect();
    };
    return this.host.calls.make(kind, { path: this.path, ...details }, open, (fault) => {
      if (!this.isClosed) onFault?.(fault);
    });
  }

  private checkWritable(syscall: string, codeForReader = 'EBADF'): void {
    if (!this.isWritable) throw diskError(codeForReader, syscall, this.path);
    if (this.host.readOnly) throw diskError('EROFS', syscall, this.path);
  }

  /** All of `length`, or now and then less, but something. */
  private partOf(length: number, share: number): number {
    const { random } = this.host;
    return length > 1 && random() < share ? 1 + randomInteger(random, length - 1) : length;
  }
}
