import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateMultipartUploadCommand, ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import { sleep, systemClock } from '@otel-resilience/core';
import { type ArchiveEntry, ArchiveReader } from '@otel-resilience/tiered';
import { S3ObjectStore } from '@otel-resilience/tiered/s3';
import { WarmProcesses } from '../../crash/warm-processes.js';
import { Random } from '../../invariants/unbiased/random.js';
import { bundle } from '../../support/bundle.js';
import { planUploadKill, type UploadJob } from './killed-upload-plan.js';
import type { S3Server } from './s3-server.js';

/** moto says of every upload that it was begun then; so what is controlled here is the time it is for those who look. */
const BEGUN_MILLIS = Date.UTC(2010, 10, 10, 20, 48, 33);
const HOUR = 3_600_000;
const WHILE_YOUNG = BEGUN_MILLIS + 23 * HOUR;
const A_DAY_LATER = BEGUN_MILLIS + 25 * HOUR;
/** How often a process finds what was left to be a day old. */
const LATE = 0.1;
const BATCHES_AT_A_TIME = 3;
const LOOK_MILLIS = 50;
const PREFIX = 'archive';

export interface UploadReport {
  readonly kills: number;
  /** How often by what it was aimed at. */
  readonly kinds: ReadonlyMap<string, number>;
  readonly batches: number;
  /** Batches that a later process has archived than the one that began with them. */
  readonly retried: number;
  /** The most uploads that lay there unfinished. */
  readonly mostOrphans: number;
  readonly violations: readonly string[];
  readonly millis: number;
}

/** Kills processes that archive into a bucket, one after the other; each begins with what the one before has not finished. */
export async function killUploads(
  server: S3Server,
  bucket: string,
  cycles: number,
  seed: number,
): Promise<UploadReport> {
  const scratch = await mkdtemp(join(tmpdir(), 'otel-resilience-upload-'));
  const script = join(scratch, 'upload-process.mjs');
  const processes = new WarmProcesses(script, 1);
  const campaign = new Campaign(server, bucket, join(scratch, 'log'), processes, seed);
  try {
    await writeFile(script, await bundle(new URL('./killed-upload-process.ts', import.meta.url)));
    return await campaign.run(cycles);
  } finally {
    await processes.close();
    await campaign.close();
    await rm(scratch, { recursive: true, force: true, maxRetries: 3 });
  }
}

class Campaign {
  private readonly violations: string[] = [];
  private readonly kinds = new Map<string, number>();
  private readonly begun = new Set<number>();
  private readonly delivered = new Set<number>();
  /** Size of whatever was listed at any time, by key. */
  private readonly sizes = new Map<string, number>();
  private readonly whole = new Map<string, number>();
  private retried = 0;
  private mostOrphans = 0;
  private readonly server: S3Server;
  private readonly bucket: string;
  private readonly log: string;
  private readonly processes: WarmProcesses;
  private readonly seed: number;
  private readonly random: Random;
  private readonly store: S3ObjectStore;
  private readonly reader: ArchiveReader;

  constructor(server: S3Server, bucket: string, log: string, processes: WarmProcesses, seed: number) {
    this.server = server;
    this.bucket = bucket;
    this.log = log;
    this.processes = processes;
    this.seed = seed;
    this.random = new Random(seed);
    this.store = this.storeAt(Date.now());
    this.reader = new ArchiveReader({ store: this.store });
  }

  async run(cycles: number): Promise<UploadReport> {
    const beginAt = performance.now();
    for (let cycle = 0; cycle < cycles; cycle++) await this.kill();
    await this.checkAges();
    await this.perform(this.job({ wallMillis: A_DAY_LATER }));
    await this.checkEnd();
    return {
      kills: cycles,
      kinds: this.kinds,
      batches: this.delivered.size,
      retried: this.retried,
      mostOrphans: this.mostOrphans,
      violations: this.violations,
      millis: performance.now() - beginAt,
    };
  }

  close(): Promise<void> {
    return this.store.shutdown({ deadline: 0 });
  }

  private async kill(): Promise<void> {
    const wallMillis = this.random.chance(LATE) ? A_DAY_LATER : WHILE_YOUNG;
    const kill = planUploadKill(this.random);
    const orphans = await this.uploads();
    this.mostOrphans = Math.max(this.mostOrphans, orphans.length);
    const said = await this.perform({ ...this.job({ wallMillis }), kill });
    const aim = kill.by === 'parent' ? 'any time' : kill.command;
    const kind = said.includes('done') ? 'afterwards' : aim;
    this.kinds.set(kind, (this.kinds.get(kind) ?? 0) + 1);
    if (wallMillis === A_DAY_LATER && said.includes('opened')) {
      const left = (await this.uploads()).filter((id) => orphans.includes(id));
      if (left.length > 0) this.violations.push(`${left.length} uploads a day old are left after open`);
    }
    await this.checkListed();
  }

  private job({ wallMillis }: { wallMillis: number }): UploadJob {
    const { bucket, log, seed, random, delivered } = this;
    const batches: number[] = [];
    for (let batch = 0; batches.length < BATCHES_AT_A_TIME; batch++) if (!delivered.has(batch)) batches.push(batch);
    const clientOptions = this.server.clientOptions();
    return { clientOptions, bucket, prefix: PREFIX, log, seed, batches, together: random.chance(0.4), wallMillis };
  }

  /** Watches what can be seen meanwhile. Returns what the process has said. */
  private async perform(job: UploadJob): Promise<string[]> {
    const watch = new AbortController();
    const watching = this.watch(watch.signal);
    const { signal, code, errors } = await this.processes.perform(job);
    watch.abort();
    await watching;
    const isAsPlanned = job.kill ? signal === 'SIGKILL' : code === 0;
    if (!isAsPlanned || errors)
      this.violations.push(`${signal ?? code} ${errors.slice(0, 2_000)}: ${JSON.stringify(job)}`);
    const said = (await readFile(this.log, 'utf8').catch(() => '')).split('\n').slice(0, -1);
    await rm(this.log, { force: true });
    const before = new Set(this.begun);
    for (const line of said) {
      const [what, number] = line.split(' ');
      const batch = Number(number);
      if (what === 'archiving') this.begun.add(batch);
      else if (what === 'trouble') this.violations.push(line);
      else if (what === 'delivered') {
        this.delivered.add(batch);
        if (before.has(batch)) this.retried++;
      }
    }
    return said;
  }

  private async watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      for await (const { key, bytes } of this.store.list('')) this.see(key, bytes);
      await sleep(systemClock, LOOK_MILLIS, signal);
    }
  }

  /** An object comes into being as it will be. */
  private see(key: string, bytes: number): void {
    const seen = this.sizes.get(key);
    if (seen === undefined) this.sizes.set(key, bytes);
    else if (seen !== bytes) this.violations.push(`${key} had ${seen} bytes, and has ${bytes}`);
  }

  /** Whatever is listed now that was not whole before. */
  private async checkListed(): Promise<void> {
    for await (const entry of this.reader.list()) if (!this.whole.has(entry.key)) await this.checkWhole(entry);
  }

  private async checkWhole(entry: ArchiveEntry): Promise<void> {
    const verified = await this.reader.verify(entry);
    if (verified.state === 'intact') this.whole.set(entry.key, verified.index.spanCount);
    // Killed between the two.
    else if (verified.state === 'index' && verified.problem === 'index missing') return;
    else this.violations.push(`${entry.key}: ${JSON.stringify(verified)}`);
  }

  /** What was begun within a day is somebody's; what was begun before that is nobody's. */
  private async checkAges(): Promise<void> {
    await this.settled();
    // Of whoever is at it just now.
    await this.server.admin.send(new CreateMultipartUploadCommand({ Bucket: this.bucket, Key: `${PREFIX}/k` }));
    const orphans = (await this.uploads()).length;
    await this.openAt(WHILE_YOUNG);
    if ((await this.uploads()).length !== orphans) this.violations.push('open has aborted an upload of today');
    await this.openAt(A_DAY_LATER);
    const left = (await this.uploads()).length;
    if (left > 0) this.violations.push(`${left} of ${orphans} uploads are left after open`);
  }

  private async checkEnd(): Promise<void> {
    await this.checkListed();
    const { delivered, begun, whole, violations } = this;
    const missing = [...begun].filter((batch) => !delivered.has(batch));
    if (missing.length > 0) violations.push(`never archived: ${missing.join(' ')}`);
    if (whole.size !== delivered.size) violations.push(`${whole.size} objects of ${delivered.size} batches`);
    let objects = 0;
    for await (const { key, bytes } of this.store.list('')) {
      this.see(key, bytes);
      objects++;
    }
    if (objects !== 2 * delivered.size) violations.push(`${objects} objects, of ${delivered.size} batches`);
    const left = await this.uploads();
    if (left.length > 0) violations.push(`${left.length} uploads are left in the end`);
  }

  private async openAt(wallMillis: number): Promise<void> {
    const store = this.storeAt(wallMillis);
    await store.open();
    await store.shutdown();
  }

  private storeAt(wallMillis: number): S3ObjectStore {
    const clock = { ...systemClock, wallTime: () => wallMillis };
    return new S3ObjectStore({
      clientOptions: this.server.clientOptions(),
      bucket: this.bucket,
      prefix: PREFIX,
      required: true,
      clock,
    });
  }

  private async uploads(): Promise<string[]> {
    const list = new ListMultipartUploadsCommand({ Bucket: this.bucket });
    const { Uploads = [] } = await this.server.admin.send(list);
    return Uploads.map(({ UploadId }) => UploadId!);
  }

  /** The server may still be at what the last process has asked for. */
  private async settled(): Promise<void> {
    for (let before = -1, now = 0; now !== before; ) {
      before = now;
      await sleep(systemClock, 300);
      now = (await this.uploads()).length;
    }
  }
}
