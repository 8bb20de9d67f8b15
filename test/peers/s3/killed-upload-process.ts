// The process that is killed: opens a store, archives batches that follow from their numbers, and says what it does in a
// file, line by line, each with one write: what was written survives its end.
import { createCipheriv } from 'node:crypto';
import { openSync, writeSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { S3Client } from '@aws-sdk/client-s3';
import { SpanBatch, systemClock } from '@otel-resilience/core';
import { fakeSpans } from '../../../packages/testing/src/fake-span.js';
import { ArchiveWriter } from '../../../packages/tiered/src/object-store/archive-writer.js';
import { S3ObjectStore } from '../../../packages/tiered/src/s3/s3-object-store.js';
import { COMMANDS, isLarge, type UploadJob } from './killed-upload-plan.js';

const MIB = 1024 * 1024;
const START_MILLIS = Date.UTC(2026, 10, 21, 12);
const SPANS = 40;
/** Of all spans of a large batch: two parts, and the second not a whole one. */
const LARGE_BYTES = 7 * MIB;

class Session {
  private readonly job: UploadJob;
  private readonly log: number;
  private readonly store: S3ObjectStore;
  private readonly writer: ArchiveWriter;
  private isSending = false;

  constructor(job: UploadJob) {
    this.job = job;
    this.log = openSync(job.log, 'a');
    const { bucket, prefix, wallMillis } = job;
    this.store = new S3ObjectStore({
      client: this.deadlyClient(),
      bucket,
      prefix,
      multipartThresholdBytes: 5 * MIB,
      partBytes: 5 * MIB,
      required: true,
      clock: { ...systemClock, wallTime: () => wallMillis },
    });
    this.writer = new ArchiveWriter({ store: this.store, compressionLevel: 1, ownsStore: false });
  }

  async run(): Promise<void> {
    const { batches, together, kill } = this.job;
    await this.store.open();
    this.say('opened');
    if (together) await Promise.all(batches.map((batch) => this.archive(batch)));
    else for (const batch of batches) await this.archive(batch);
    this.say('done');
    if (kill) die();
    await this.store.shutdown();
    process.exit(0);
  }

  private async archive(batch: number): Promise<void> {
    this.say('archiving', batch);
    const signal = new AbortController().signal;
    const context = { signal, deadline: systemClock.now() + 20_000 };
    const { delivered, error } = await this.writer.exportBatch(batchOf(batch, this.job.seed), context);
    if (delivered === SPANS) this.say('delivered', batch);
    else this.say('trouble', batch, String(error));
  }

  /** Sees every request before it is sent, and its answer. */
  private deadlyClient(): S3Client {
    const { clientOptions, kill } = this.job;
    const client = new S3Client({ ...clientOptions, maxAttempts: 1 });
    let left = kill?.by === 'itself' ? kill.nth : 0;
    client.middlewareStack.add(
      (next, { commandName }) =>
        async (request) => {
          this.onUpload(commandName);
          if (kill?.by !== 'itself' || kill.command !== commandName || --left !== 0) return next(request);
          const { moment } = kill;
          if (moment === 'before') die();
          if (typeof moment === 'object') setTimeout(die, moment.delayMillis);
          const answer = await next(request);
          if (moment === 'after') die();
          return answer;
        },
      { step: 'finalizeRequest', priority: 'low' },
    );
    return client;
  }

  private onUpload(commandName: string | undefined): void {
    if (this.isSending || !COMMANDS.some((command) => command === commandName)) return;
    this.isSending = true;
    if (this.job.kill?.by === 'parent') writeSync(1, '.');
  }

  private say(what: string, ...values: ReadonlyArray<string | number>): void {
    writeSync(this.log, `${[what, ...values].join(' ')}\n`);
  }
}

/** The same bytes whenever it is asked for; no bit of them can be compressed away. */
function batchOf(batch: number, seed: number): SpanBatch {
  const key = Buffer.alloc(16);
  key.writeUInt32LE(seed, 0);
  key.writeUInt32LE(batch, 4);
  const random = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  const bytes = isLarge(batch) ? LARGE_BYTES / SPANS : 500;
  return SpanBatch.fromSpans(
    fakeSpans(SPANS, (index) => ({
      index: batch * SPANS + index,
      startMillis: START_MILLIS,
      attributes: { payload: random.update(Buffer.alloc(bytes)) as never },
    })),
  );
}

function die(): void {
  process.kill(process.pid, 'SIGKILL');
  // The signal comes at once, and nothing may happen before it does.
  for (;;);
}

/** Started ahead of its time: it waits for what it is to do. */
const job = JSON.parse((await text(process.stdin)) || 'null') as UploadJob | null;
if (job) await new Session(job).run();
