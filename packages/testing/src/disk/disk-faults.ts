import {
  ConfigurationError,
  integer,
  list,
  type OptionReader,
  oneOf,
  optional,
  readOptions,
  text,
} from '@otel-resilience/core';
import { DISK_OPERATIONS, type DiskOperation, type DiskOperationKind } from './disk-operation.js';
import type { Keep } from './survival.js';

/** Operations that are to fail. */
export interface DiskFault {
  /** What fails. Default: whatever comes, but closing. */
  readonly operations?: readonly DiskOperationKind[];
  /** Such as `EIO`, `ENOSPC`, `EACCES`. */
  readonly code: string;
  /** How many such operations go well first. Default 0. */
  readonly after?: number;
  /** How many fail then, or `Infinity`: all until `heal()`. Default 1. */
  readonly times?: number;
  /** Only on paths that match; of a rename, either path. Default: on all. */
  readonly path?: RegExp;
  /** Of a `sync` that fails: which of the changes that it was called for got to the disk all the same. Default `some`. */
  readonly keep?: Keep;
}

/** Which of the faults that were asked for hits which operation. */
export class DiskFaults {
  private faults: ArmedFault[] = [];

  add(fault: DiskFault): void {
    const read = readOptions('FaultyDisk.fail', fault, SCHEMA);
    this.faults.push({ ...read, toPass: read.after, toFail: read.times });
  }

  clear(): void {
    this.faults = [];
  }

  /** The fault that hits this operation, and is used up by it. */
  take({ kind, path, to = path }: DiskOperation): ArmedFault | undefined {
    for (const fault of this.faults) {
      if (!fault.operations.includes(kind)) continue;
      if (fault.path && path.search(fault.path) < 0 && to.search(fault.path) < 0) continue;
      if (fault.toPass-- > 0) continue;
      if (fault.toFail-- > 0) return fault;
    }
    return undefined;
  }
}

export interface ArmedFault {
  readonly operations: readonly DiskOperationKind[];
  readonly code: string;
  readonly path: RegExp | undefined;
  readonly keep: Keep;
  toPass: number;
  toFail: number;
}

/** `all`, `none`, `some`, or a function of a pending change. */
export const aKeep: OptionReader<Keep> = (value, path) =>
  typeof value === 'function' ? (value as Keep) : oneOf(['all', 'none', 'some'], { default: 'some' })(value, path);

const anyOperation = optional(list(oneOf(DISK_OPERATIONS, { default: 'write' }), { min: 1 }));
const SCHEMA = {
  operations: (value: unknown, path: string): readonly DiskOperationKind[] =>
    anyOperation(value, path) ?? DISK_OPERATIONS.filter((kind) => kind !== 'close'),
  code: text(),
  after: integer({ min: 0, default: 0 }),
  times: (value: unknown, path: string): number =>
    value === Number.POSITIVE_INFINITY ? value : integer({ min: 1, default: 1 })(value, path),
  path: optional((value: unknown, path: string): RegExp => {
    if (value instanceof RegExp) return value;
    throw new ConfigurationError(path, 'a RegExp', value);
  }),
  keep: aKeep,
};
