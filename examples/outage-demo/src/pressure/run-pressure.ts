import { setTimeout as wait } from 'node:timers/promises';
import { type Comparison, compareSpans } from '../compare-spans.js';
import { highest, type Level } from '../level.js';
import { LoadGenerator } from '../load-generator.js';
import type { LedgerReport } from '../processes/ledger-watch.js';
import type { PressuredAppMethods } from '../processes/pressured-app.js';
import type { StopReport } from '../processes/stop-application.js';
import { type Counted, count, type PhaseResult, type PlayedPhase, phaseResults } from './phase-results.js';
import type { Estimate } from './request-estimator.js';
import {
  BETWEEN_BLOCKS_MILLIS,
  BLOCKED_MILLIS,
  PATIENCE_MILLIS,
  type Phase,
  type PressureScenario,
} from './scenario.js';
import { openPressureStage, type PressureStage } from './stage.js';
import type { Transition } from './transition.js';

type AppStatus = ReturnType<PressuredAppMethods['status']>;

/** What is known while the act is played. */
export interface PressureProgress {
  readonly phase: Phase | undefined;
  readonly elapsedMillis: number;
  readonly status: AppStatus;
  readonly requests: number;
  /** From what has arrived so far. */
  readonly estimate: Pick<Estimate, 'requests' | 'standardError'>;
  readonly endedSpans: number;
  readonly receivedSpans: number;
}

export interface PressureResult extends Counted, StopReport {
  readonly startedAt: number;
  readonly phases: readonly PhaseResult[];
  readonly transitions: readonly Transition[];
  /** Of all the spans that were started; `missing` are those left out by sampling. */
  readonly spans: Comparison;
  /** Spans that were recorded, by the application's own account. */
  readonly recordedSpans: number;
  readonly ledger: LedgerReport;
  readonly failedRequests: number;
  /** Whether the application ended by itself after its shutdown. */
  readonly endedByItself: boolean;
}

export interface RunPressureOptions {
  readonly onProgress: (progress: PressureProgress) => void;
  /** Something worth a line. */
  readonly onNote: (line: string) => void;
}

const OBSERVE_MILLIS = 250;
const QUIET_MILLIS = 100;

/** The second act: one application, first among burning cores, then with a blocked event loop. */
export async function runPressure(
  scenario: PressureScenario,
  { onProgress, onNote }: RunPressureOptions,
): Promise<PressureResult> {
  const stage = await openPressureStage(onNote);
  try {
    const result = await new PressureRun(scenario, stage, onProgress).play();
    return { ...result, endedByItself: !(await stage.close()).includes('application') };
  } finally {
    await stage.close();
  }
}

class PressureRun {
  private readonly scenario: PressureScenario;
  private readonly stage: PressureStage;
  private readonly onProgress: (progress: PressureProgress) => void;
  private readonly load: LoadGenerator;
  private readonly startedAt = Date.now();
  private phase: Phase | undefined;
  private asked: Record<string, Level> = {};
  private level: Level = 'normal';
  private lowestRatio = 1;

  constructor(scenario: PressureScenario, stage: PressureStage, onProgress: (progress: PressureProgress) => void) {
    const { requestsPerSecond } = scenario;
    this.scenario = scenario;
    this.stage = stage;
    this.onProgress = onProgress;
    this.load = new LoadGenerator({
      port: stage.appPort,
      requestsPerSecond,
      durationMillis: Number.POSITIVE_INFINITY,
    });
  }

  async play(): Promise<Omit<PressureResult, 'endedByItself'>> {
    const over = new AbortController();
    const observing = this.observe(over.signal);
    try {
      // The first to fail ends the run: a process that has died answers the observer no more.
      return await Promise.race([this.playPhases(over.signal), observing]);
    } finally {
      over.abort();
    }
  }

  private async playPhases(signal: AbortSignal): Promise<Omit<PressureResult, 'endedByItself'>> {
    const { app, collectors } = this.stage;
    const loading = this.load.run(signal);
    loading.catch(() => {}); // awaited below; until then it is the observer who tells
    const played: PlayedPhase[] = [];
    for (const phase of this.scenario.phases) played.push(await this.playPhase(phase, signal));
    this.phase = undefined;
    this.load.finish();
    await loading;
    const { orders, transitions, ledger, ...report } = await app.call('stop');
    await this.quiet(signal);
    const received = [await collectors.A.call('received'), await collectors.B.call('received')];
    const outlines = [...(await collectors.A.call('outlines')), ...(await collectors.B.call('outlines'))];
    const receivedKeys = new Set(received.flatMap(({ spanKeys }) => spanKeys));
    return {
      ...count(orders, outlines, receivedKeys),
      ...report,
      startedAt: this.startedAt,
      phases: phaseResults(played, { orders, transitions, outlines, receivedKeys }),
      transitions,
      spans: compareSpans(this.load.ended, received),
      recordedSpans: orders.flatMap(({ spans }) => spans).filter(({ recording }) => recording).length,
      ledger,
      failedRequests: this.load.failedRequests,
    };
  }

  private async playPhase(phase: Phase, signal: AbortSignal): Promise<PlayedPhase> {
    this.phase = phase;
    this.asked = {};
    this.lowestRatio = 1;
    const startedAt = Date.now();
    const over = new AbortController();
    const pressing = this.press(phase, over.signal);
    pressing.catch(() => {}); // likewise
    const leastUntil = performance.now() + phase.minMillis;
    const patientUntil = leastUntil + PATIENCE_MILLIS;
    const isReached = () => (this.level === 'normal') === (phase.until === 'normal');
    while (performance.now() < leastUntil || (!isReached() && performance.now() < patientUntil)) {
      await wait(Math.min(OBSERVE_MILLIS, phase.minMillis), undefined, { signal });
    }
    const reached = isReached();
    over.abort();
    await pressing;
    const { asked, lowestRatio } = this;
    return { phase, startedAt, endedAt: Date.now(), asked, lowestRatio, reached };
  }

  /** What the phase does to the host or to the application, until it is over. */
  private async press({ name }: Phase, over: AbortSignal): Promise<void> {
    const { app, burner } = this.stage;
    if (name === 'cpu') {
      await burner.call('burn');
      await new Promise((resolve) => over.addEventListener('abort', resolve));
      await burner.call('rest');
    }
    if (name === 'loop') {
      while (!over.aborted) {
        await app.call('block', BLOCKED_MILLIS);
        await wait(BETWEEN_BLOCKS_MILLIS);
      }
    }
  }

  /** What the application sent last may still be on its way through a proxy. */
  private async quiet(signal: AbortSignal): Promise<void> {
    let before = -1;
    for (let received = await this.received(); received !== before; received = await this.received()) {
      before = received;
      await wait(QUIET_MILLIS, undefined, { signal });
    }
  }

  private async received(): Promise<number> {
    const { A, B } = this.stage.collectors;
    return (await A.call('counts')).uniqueSpans + (await B.call('counts')).uniqueSpans;
  }

  private async observe(signal: AbortSignal): Promise<never> {
    const { A, B } = this.stage.collectors;
    for (;;) {
      const status = await this.stage.app.call('status');
      this.level = status.level;
      this.lowestRatio = Math.min(this.lowestRatio, status.ratio);
      for (const [trigger, level] of Object.entries(status.asks)) {
        this.asked[trigger] = highest([level, this.asked[trigger] ?? 'normal']);
      }
      const estimates = [await A.call('estimate'), await B.call('estimate')];
      this.onProgress({
        phase: this.phase,
        elapsedMillis: Date.now() - this.startedAt,
        status,
        requests: this.load.answeredRequests,
        estimate: {
          requests: estimates.reduce((total, { requests }) => total + requests, 0),
          standardError: Math.hypot(...estimates.map(({ standardError }) => standardError)),
        },
        endedSpans: this.load.ended.size,
        receivedSpans: await this.received(),
      });
      await wait(OBSERVE_MILLIS, undefined, { signal });
    }
  }
}
