// The process that is killed: recovers a spool, replays it into a sink that counts, appends, shuts down. It says what it
// does in a file, line by line, each with one write: what was written survives its end.
import { openSync, readFileSync, writeSync } from 'node:fs';
import { deliveredOutcome, failedOutcome, followedBy, SpanBatch, sleep, systemClock } from '@otel-resilience/core';
import { Spool, type SpoolLease } from '@otel-resilience/tiered';
import { fakeSpan } from '../../packages/testing/src/fake-span.js';
import { nodeFileSystem } from '../../packages/tiered/src/spool/node-file-system.js';
import { Random } from '../invariants/unbiased/random.js';
import type { Job, Phase } from './crash-plan.js';
import { DeadlyFileSystem } from './deadly-file-system.js';
import { EndingSpans } from './ending-spans.js';

const SEGMENT_BYTES = 6_000;
const LARGE_BYTES = 300_000;

class Session {
  private readonly job: Job;
  private readonly random: Random;
  private readonly log: number;
  private readonly fileSystem: DeadlyFileSystem;
  private readonly spool: Spool;
  private readonly spans: EndingSpans;
  private nextId: number;

  constructor(job: Job) {
    this.job = job;
    this.random = new Random(job.seed);
    this.log = openSync(job.log, 'a');
    this.nextId = job.firstId;
    this.fileSystem = new DeadlyFileSystem(nodeFileSystem, job.kill, (moment) => this.say('killed', moment));
    const { directory, fsync, order } = job;
    this.spool = new Spool({
      directory,
      fsync,
      order,
      fsyncIntervalMillis: 5,
      maxSegmentBytes: SEGMENT_BYTES,
      fileSystem: this.fileSystem,
      required: true,
    });
    this.sayWhatIsAcknowledged();
    const { spool, random } = this;
    const say = this.say.bind(this);
    this.spans = new EndingSpans({ spool, random, say, nextId: () => this.nextId++ });
  }

  async run(): Promise<void> {
    this.spans.start();
    this.enter('recovery');
    await this.spool.open();
    this.say('recovered', this.spool.stats().recovered);
    this.enter('replay');
    await this.replay();
    this.say('drained');
    this.enter('append');
    const appends = Array.from({ length: this.random.integer(1, 3) }, () => this.append());
    await Promise.all([...appends, this.settleSome(), this.spans.run()]);
    const { mode, error, corrupt } = this.spool.status();
    if (mode !== 'disk') this.say('trouble', mode, error ?? '');
    if (corrupt.frames > 0) this.say('corrupt', corrupt.frames, corrupt.spans);
    this.enter('shutdown');
    await this.spans.shutdown();
    this.say('closed');
    if (this.job.kill) DeadlyFileSystem.die();
  }

  private enter(phase: Phase): void {
    const { kill } = this.job;
    this.say('phase', phase);
    this.fileSystem.enter(phase);
    if (kill?.by === 'parent' && kill.phase === phase) writeSync(1, '.');
  }

  private async replay(): Promise<void> {
    while (this.spool.size > 0) {
      const lease = await this.spool.lease();
      if (lease) this.receive(lease);
      // What remains of one is being written.
      else await sleep(systemClock, 1);
    }
  }

  /** As a receiver would answer, now and then in part or not at all. */
  private receive({ batch, settle }: SpoolLease): void {
    const ids = batch.spans().map(({ name }) => Number(name));
    const isTaken = this.random.chance(0.85);
    const taken = isTaken ? ids.length : this.random.integer(0, ids.length - 1);
    if (taken > 0) this.say('received', ...ids.slice(0, taken));
    const delivered = deliveredOutcome(taken);
    settle(
      isTaken
        ? delivered
        : followedBy(delivered, failedOutcome(batch.slice(taken), 'retryable', new Error('taken in part'))),
    );
  }

  private async append(): Promise<void> {
    for (let left = this.random.integer(3, 10); left > 0; left--) {
      const ids = Array.from({ length: this.random.integer(1, 6) }, () => this.nextId++);
      const isLarge = this.random.chance(0.03);
      const attributes = isLarge
        ? { large: 'x'.repeat(LARGE_BYTES) }
        : { small: 'x'.repeat(this.random.integer(0, 300)) };
      this.say('appending', ...ids);
      const spans = ids.map((id) => fakeSpan({ index: id, name: String(id), attributes }));
      await this.spool.append(SpanBatch.fromSpans(spans));
    }
  }

  private sayWhatIsAcknowledged(): void {
    const { spool } = this;
    const append = spool.append.bind(spool);
    spool.append = async (batch) => {
      const result = await append(batch);
      const names = batch.spans().map(({ name }) => name);
      if (result.stored === names.length) this.say('acknowledged', ...names);
      else this.say('trouble', 'refused', ...names);
      return result;
    };
  }

  private async settleSome(): Promise<void> {
    for (let left = this.random.integer(0, 12); left > 0; left--) {
      const lease = await this.spool.lease();
      if (lease) this.receive(lease);
      else await sleep(systemClock, 0.2);
    }
  }

  private say(what: string, ...values: ReadonlyArray<string | number>): void {
    writeSync(this.log, `${[what, ...values].join(' ')}\n`);
  }
}

/** Started ahead of its time: it waits for what it is to do. */
const job = JSON.parse(readFileSync(0, 'utf8') || 'null') as Job | null;
// Our timers keep no process alive.
const alive = setInterval(() => {}, 60_000);
if (job) await new Session(job).run();
clearInterval(alive);
