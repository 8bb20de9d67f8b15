import { mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SpanBatch } from '@otel-resilience/core';
import { type FakeSpanOverrides, fakeSpan } from '@otel-resilience/testing';
import { ArchiveReader, ArchiveWriter, FileObjectStore, type StorageClass } from '@otel-resilience/tiered';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { BuiltCli, type RunningCli } from '../built-cli.test-support.js';

const HOUR = 3_600_000;
export const DAY = 24 * HOUR;

interface Archived extends FakeSpanOverrides {
  readonly spans?: number;
  /** Of the hour in which they ended. */
  readonly ageMillis?: number;
  readonly storageClass?: StorageClass;
  readonly directory?: string;
}

/** Two directories for each test, to be archives, and the program to be run on them. */
export class ArchiveBed {
  warm = '';
  cold = '';
  private root = '';
  private cli: BuiltCli | undefined;
  private index = 0;

  constructor() {
    beforeAll(async () => {
      this.cli = await BuiltCli.build();
    });
    afterAll(() => this.cli?.remove());
    beforeEach(async () => {
      this.root = await mkdtemp(join(tmpdir(), 'otel-resilience-cli-'));
      this.warm = join(this.root, 'warm');
      this.cold = join(this.root, 'cold');
      await mkdir(this.warm);
      await mkdir(this.cold);
    });
    afterEach(() => rm(this.root, { recursive: true }));
  }

  get built(): BuiltCli {
    return this.cli!;
  }

  run(...args: string[]): RunningCli {
    return this.cli!.run(args);
  }

  /** One object, of ten spans that ended together. */
  async archive(about: Archived = {}): Promise<SpanBatch> {
    const { spans = 10, ageMillis = 2 * HOUR, storageClass, directory = this.warm, ...overrides } = about;
    const startMillis = hourBefore(ageMillis) + 60_000;
    const batch = SpanBatch.fromSpans(
      Array.from({ length: spans }, () => fakeSpan({ startMillis, index: this.index++, ...overrides })),
    );
    const writer = new ArchiveWriter({
      store: new FileObjectStore({ directory }),
      ...(storageClass && { storageClass }),
    });
    const deadline = performance.now() + 60_000;
    const outcome = await writer.exportBatch(batch, { deadline, signal: new AbortController().signal });
    expect(outcome).toMatchObject({ delivered: spans });
    await writer.shutdown();
    return batch;
  }

  /** How many objects are in each storage class, data alone. */
  async classes(directory: string): Promise<Record<string, number>> {
    const classes: Record<string, number> = {};
    for await (const { storageClass } of new ArchiveReader({ store: new FileObjectStore({ directory }) }).list()) {
      const name = storageClass ?? 'orphan';
      classes[name] = (classes[name] ?? 0) + 1;
    }
    return classes;
  }

  /** Paths below a directory whose name ends so. */
  async files(directory: string, end: string): Promise<string[]> {
    const names = await readdir(directory, { recursive: true });
    return names
      .filter((name) => name.endsWith(end))
      .sort()
      .map((name) => join(directory, name));
  }

  /** Every file, byte by byte. */
  async contents(): Promise<Array<[name: string, bytes: string]>> {
    const names = (await readdir(this.root, { recursive: true })).sort();
    return Promise.all(
      names.map(async (name): Promise<[string, string]> => {
        const path = join(this.root, name);
        return [name, (await stat(path)).isFile() ? (await readFile(path)).toString('hex') : ''];
      }),
    );
  }
}

/** The beginning of the hour that ended so long ago, and a bit. */
export const hourBefore = (ageMillis: number): number => {
  const then = Date.now() - ageMillis - HOUR;
  return then - (then % HOUR);
};
