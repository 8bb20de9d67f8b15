import { setTimeout as wait } from 'node:timers/promises';
import type { ReceiverSnapshot } from '@otel-resilience/testing';
import { type Comparison, compareSpans } from './compare-spans.js';
import { LoadGenerator } from './load-generator.js';
import type { LedgerReport, PipelineView } from './processes/ledger-watch.js';
import type { CollectorName, Fault, PipelineName, Scenario } from './scenario.js';
import { openStage, type Stage } from './stage.js';

/** What is known while a run is under way. */
export interface Progress {
  readonly pipeline: PipelineName;
  readonly phase: 'starting' | 'load' | 'shutdown' | 'counting';
  /** Since the load began. */
  readonly elapsedMillis: number;
  readonly ended: number;
  readonly collectors: Readonly<Record<CollectorName, { readonly alive: boolean; readonly received: number }>>;
  /** Only ours says something. */
  readonly view: PipelineView | undefined;
}

export interface PipelineResult extends Comparison {
  /** The application's CPU time, its HTTP work included, by ended spans. */
  readonly cpuMicrosPerSpan: number;
  readonly maxLoopDelayMillis: number;
  readonly shutdownMillis: number;
  readonly shutdownError: string | undefined;
  readonly failedRequests: number;
  /** Whether the application ended by itself after its shutdown. */
  readonly endedByItself: boolean;
  readonly ledger: LedgerReport | undefined;
}

export interface RunOptions {
  readonly onProgress: (progress: Progress) => void;
  /** Something worth a line. */
  readonly onNote: (line: string) => void;
}

const OBSERVE_MILLIS = 250;
const QUIET_MILLIS = 100;

/** Puts one pipeline through the scenario, with processes of its own. */
export async function runPipeline(
  pipeline: PipelineName,
  scenario: Scenario,
  { onProgress, onNote }: RunOptions,
): Promise<PipelineResult> {
  const stage = await openStage(pipeline, onNote);
  const run = new Run(pipeline, scenario, stage, onProgress);
  try {
    const result = await run.play();
    return { ...result, endedByItself: !(await stage.close()).includes('application') };
  } finally {
    await stage.close();
  }
}

class Run {
  private readonly pipeline: PipelineName;
  private readonly scenario: Scenario;
  private readonly stage: Stage;
  private readonly onProgress: (progress: Progress) => void;
  private readonly load: LoadGenerator;
  private readonly alive: Record<CollectorName, boolean> = { A: true, B: true };
  private phase: Progress['phase'] = 'starting';
  private startedAt = performance.now();

  constructor(pipeline: PipelineName, scenario: Scenario, stage: Stage, onProgress: (progress: Progress) => void) {
    this.pipeline = pipeline;
    this.scenario = scenario;
    this.stage = stage;
    this.onProgress = onProgress;
    this.load = new LoadGenerator({ port: stage.appPort, ...scenario });
  }

  async play(): Promise<Omit<PipelineResult, 'endedByItself'>> {
    const over = new AbortController();
    const observing = this.observe(over.signal);
    try {
      // The first to fail ends the run: a process that has died answers the observer no more.
      return await Promise.race([this.playScenario(over.signal), observing]);
    } finally {
      over.abort();
    }
  }

  private async playScenario(signal: AbortSignal): Promise<Omit<PipelineResult, 'endedByItself'>> {
    const { app, collectors } = this.stage;
    await app.call('measure');
    this.startedAt = performance.now();
    this.phase = 'load';
    await Promise.all([this.load.run(signal), ...this.scenario.faults.map((fault) => this.inject(fault, signal))]);
    this.phase = 'shutdown';
    const { cpuMicros, ledger, ...report } = await app.call('stop');
    this.phase = 'counting';
    await this.quiet(signal);
    const received = [await collectors.A.call('received'), await collectors.B.call('received')];
    const { ended, failedRequests } = this.load;
    return {
      ...compareSpans(ended, received),
      cpuMicrosPerSpan: cpuMicros / ended.size,
      failedRequests,
      ledger,
      ...report,
    };
  }

  private async inject({ atMillis, collector, kind }: Fault, signal: AbortSignal): Promise<void> {
    await wait(atMillis, undefined, { signal });
    this.alive[collector] = kind === 'returns';
    await this.stage.collectors[collector].call(kind === 'returns' ? 'revive' : 'die');
  }

  /** What the application sent last may still be on its way through a proxy. */
  private async quiet(signal: AbortSignal): Promise<void> {
    let before = -1;
    for (;;) {
      const { A, B } = await this.counts();
      const received = A.receivedSpans + B.receivedSpans;
      if (received === before) return;
      before = received;
      await wait(QUIET_MILLIS, undefined, { signal });
    }
  }

  private async counts(): Promise<Record<CollectorName, ReceiverSnapshot>> {
    const { A, B } = this.stage.collectors;
    return { A: await A.call('counts'), B: await B.call('counts') };
  }

  private async observe(signal: AbortSignal): Promise<never> {
    for (;;) {
      const { A, B } = await this.counts();
      this.onProgress({
        pipeline: this.pipeline,
        phase: this.phase,
        elapsedMillis: this.phase === 'starting' ? 0 : performance.now() - this.startedAt,
        ended: this.load.ended.size,
        collectors: {
          A: { alive: this.alive.A, received: A.uniqueSpans },
          B: { alive: this.alive.B, received: B.uniqueSpans },
        },
        view: await this.stage.app.call('status'),
      });
      await wait(OBSERVE_MILLIS, undefined, { signal });
    }
  }
}
