import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, lstat, mkdtemp, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SpanBatch } from '@otel-resilience/core';
import { fakeSpan } from '@otel-resilience/testing';
import { Spool } from '@otel-resilience/tiered';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { BuiltCli, type RunningCli } from '../built-cli.test-support.js';

/** A directory for each test, as applications leave it, and the program to be run on it. */
export class SpoolBed {
  directory = '';
  private cli: BuiltCli | undefined;
  private index = 0;
  private readonly live: Spool[] = [];

  constructor() {
    beforeAll(async () => {
      this.cli = await BuiltCli.build();
    });
    afterAll(() => this.cli?.remove());
    beforeEach(async () => {
      this.directory = join(await mkdtemp(join(tmpdir(), 'otel-resilience-cli-')), 'spool');
    });
    afterEach(async () => {
      for (const spool of this.live.splice(0)) await spool.shutdown();
      await rm(join(this.directory, '..'), { recursive: true });
    });
  }

  run(...args: string[]): RunningCli {
    return this.cli!.run(args);
  }

  tenSpans(): SpanBatch {
    return SpanBatch.fromSpans(Array.from({ length: 10 }, () => fakeSpan({ index: this.index++ })));
  }

  /** Of a live process: this one. So many batches of ten spans, four to a segment. */
  async spoolWith(batches: number): Promise<Spool> {
    const spool = new Spool({ directory: this.directory, maxSegmentBytes: 20_000 });
    this.live.push(spool);
    for (let appended = 0; appended < batches; appended++) await spool.append(this.tenSpans());
    return spool;
  }

  /** As an application leaves it that was shut down. */
  async leave(batches: number): Promise<void> {
    await (await this.spoolWith(batches)).shutdown();
  }

  /** Leaves it as if its owner had been killed just now; resolves to the pid of that one. */
  async kill(spool: Spool): Promise<number> {
    const child = spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' });
    await once(child, 'exit');
    const remains = `${this.directory}-remains`;
    // Its sign of life is a socket.
    const filter = async (path: string) => !(await lstat(path)).isSocket();
    await cp(this.directory, remains, { recursive: true, filter });
    const [owner] = await readdir(join(remains, 'lock'));
    await rename(join(remains, 'lock', owner!), join(remains, 'lock', owner!.replace(/^\d+/, `${child.pid}`)));
    await spool.shutdown();
    await rm(this.directory, { recursive: true });
    await rename(remains, this.directory);
    return child.pid!;
  }

  /** Spans, as `ls` counts them. */
  async waiting(): Promise<unknown> {
    const { json } = await this.run('spool', 'ls', this.directory, '--json');
    return (json().totals as { spans: number }).spans;
  }

  async segmentPaths(): Promise<string[]> {
    const names = (await readdir(this.directory)).sort();
    return names.filter((name) => name.endsWith('.seg')).map((name) => join(this.directory, name));
  }

  /** Where the first segment has its first header, or (at 172) the body of its first batch. */
  async damage(position: number): Promise<void> {
    const [first] = await this.segmentPaths();
    const file = await open(first!, 'r+');
    await file.write('zzzzzzzz', position);
    await file.close();
  }

  /** Every file, byte by byte; of a lock, which its owner renews, the name. */
  async contents(): Promise<Array<[name: string, bytes: string]>> {
    const names = (await readdir(this.directory, { recursive: true })).sort();
    return Promise.all(
      names.map(async (name): Promise<[string, string]> => {
        const path = join(this.directory, name);
        const hasContents = !name.startsWith('lock') && (await stat(path)).isFile();
        return [name, hasContents ? (await readFile(path)).toString('hex') : ''];
      }),
    );
  }
}
