import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type Comparison, compareSpans } from '../compare-spans.js';
import { LoadGenerator } from '../load-generator.js';
import type { DiskAppReport } from '../processes/disk-app.js';
import type { StopReport } from '../processes/stop-application.js';
import { idsOnDisk } from './ids-on-disk.js';
import type { CrashScenario } from './scenario.js';
import { type CrashStage, openCrashStage } from './stage.js';

export interface CrashResult extends Comparison, StopReport, DiskAppReport {
  /** Acknowledged to the application that was killed: spans in its spool when it died. */
  readonly onDisk: number;
  /** Of those, the ones that no collector has. */
  readonly onDiskMissing: number;
  /** Requests without an answer: of theirs it is not known which spans had ended. */
  readonly unansweredRequests: number;
  readonly endedByItself: boolean;
}

export interface RunCrashOptions {
  /** Something worth a line. */
  readonly onNote: (line: string) => void;
}

const OBSERVE_MILLIS = 1_000;
const QUIET_MILLIS = 100;
/** The replay of what waits, after the load. */
const PATIENCE_MILLIS = 30_000;

/** The third act: the outage, and in its middle the application is killed with -9. */
export async function runCrash(scenario: CrashScenario, { onNote }: RunCrashOptions): Promise<CrashResult> {
  const directory = await mkdtemp(join(tmpdir(), 'otel-resilience-demo-'));
  const stage = await openCrashStage(directory, onNote);
  try {
    const result = await new CrashRun(scenario, stage, directory, onNote).play();
    return { ...result, endedByItself: !(await stage.close()).includes('application') };
  } finally {
    await stage.close();
    await rm(directory, { recursive: true });
  }
}

class CrashRun {
  private readonly scenario: CrashScenario;
  private readonly stage: CrashStage;
  private readonly directory: string;
  private readonly note: (line: string) => void;
  private readonly startedAt = performance.now();

  constructor(scenario: CrashScenario, stage: CrashStage, directory: string, onNote: (line: string) => void) {
    this.scenario = scenario;
    this.stage = stage;
    this.directory = directory;
    this.note = (line) => onNote(`${((performance.now() - this.startedAt) / 1_000).toFixed(1).padStart(5)} s  ${line}`);
  }

  async play(): Promise<Omit<CrashResult, 'endedByItself'>> {
    const { stage, scenario } = this;
    const { requestsPerSecond, killAtMillis, durationMillis } = scenario;
    const over = new AbortController();
    const collectors = this.playCollectors(over.signal);
    collectors.catch(() => {}); // awaited below
    try {
      const first = new LoadGenerator({
        port: await stage.startApp(),
        requestsPerSecond,
        durationMillis: Number.POSITIVE_INFINITY,
      });
      const loading = this.load(first, 'the application', over.signal);
      await this.until(killAtMillis, over.signal);
      await stage.killApp();
      first.finish();
      await loading;
      const onDisk = await idsOnDisk(this.directory);
      this.note(`the application was killed with -9; ${onDisk.size} spans are in its spool`);

      const port = await stage.startApp();
      this.note('the application has been started again');
      const left = Math.max(0, durationMillis - (performance.now() - this.startedAt));
      const second = new LoadGenerator({ port, requestsPerSecond, durationMillis: left });
      await this.load(second, 'the next application', over.signal);
      await collectors;
      await this.replayed(over.signal);
      const report = await stage.app.call('stop');
      await this.quiet(over.signal);

      const received = [await stage.collectors.A.call('received'), await stage.collectors.B.call('received')];
      const arrived = new Set(received.flatMap(({ spanKeys }) => spanKeys));
      return {
        ...compareSpans(new Set([...first.ended, ...second.ended]), received),
        ...report,
        onDisk: onDisk.size,
        onDiskMissing: [...onDisk].filter((key) => !arrived.has(key)).length,
        unansweredRequests: first.failedRequests + second.failedRequests,
      };
    } finally {
      over.abort();
    }
  }

  private async playCollectors(signal: AbortSignal): Promise<void> {
    const { A, B } = this.stage.collectors;
    await this.until(this.scenario.outageAtMillis, signal);
    await Promise.all([A.call('die'), B.call('die')]);
    this.note('both collectors are dead');
    await this.until(this.scenario.returnAtMillis, signal);
    await Promise.all([A.call('revive'), B.call('revive')]);
    this.note('both collectors are back');
  }

  private async load(generator: LoadGenerator, name: string, signal: AbortSignal): Promise<void> {
    const timer = setInterval(async () => {
      const received = await this.received().catch(() => undefined);
      if (received !== undefined)
        this.note(`${name} has ended ${generator.ended.size} spans; ${received} received in all`);
    }, OBSERVE_MILLIS);
    try {
      await generator.run(signal);
    } finally {
      clearInterval(timer);
    }
  }

  private async replayed(signal: AbortSignal): Promise<void> {
    const patientUntil = performance.now() + PATIENCE_MILLIS;
    while (performance.now() < patientUntil && (await this.stage.app.call('waiting')) > 0) {
      await wait(QUIET_MILLIS, undefined, { signal });
    }
  }

  /** What the application sent last may still be on its way through a proxy. */
  private async quiet(signal: AbortSignal): Promise<void> {
    for (let before = -1, received = await this.received(); received !== before; ) {
      before = received;
      await wait(QUIET_MILLIS, undefined, { signal });
      received = await this.received();
    }
  }

  private async received(): Promise<number> {
    const { A, B } = this.stage.collectors;
    return (await A.call('counts')).uniqueSpans + (await B.call('counts')).uniqueSpans;
  }

  private until(millis: number, signal: AbortSignal): Promise<void> {
    return wait(Math.max(0, this.startedAt + millis - performance.now()), undefined, { signal });
  }
}
