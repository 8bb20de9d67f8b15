import { setMaxListeners } from 'node:events';
import {
  type Clock,
  DEFAULT_SHUTDOWN_TIMEOUT_MILLIS,
  type DeadlineOptions,
  describeError,
  LimitedLog,
  settledBy,
  suppressTracing,
  type Timer,
  toError,
} from '@otel-resilience/core';
import { keepAlive } from '../keep-alive.js';
import type { StoreCallOptions } from '../object-store/object-store.js';
import { ClockWatch } from './clock-watch.js';
import {
  type LifecycleOptions,
  type LifecycleRunOptions,
  type ReadLifecycleOptions,
  readLifecycleOptions,
  readRunOptions,
} from './lifecycle-options.js';
import type { LifecycleProgress, LifecycleReport } from './lifecycle-report.js';
import { LifecycleRun } from './lifecycle-run.js';
import { checkSeparate } from './separate-stores.js';

export interface LifecycleStatus {
  /** Whether a run is under way. */
  readonly running: boolean;
  /** Of the last run that was no dry run. */
  readonly lastReport?: LifecycleReport;
  /** The first thing that failed in it, if anything did: one line. */
  readonly lastError?: string;
  /** Wall time at which `start()` begins its next run. */
  readonly nextRunAt?: number;
}

const OWNER = 'Lifecycle';
const FIRST_RUN_MILLIS = 60_000;
/** Of several processes that were started together, not all list at the same moment. */
const JITTER = 0.1;

/**
 * Moves archive objects from warm to cold as they get old, and deletes them in the end.
 *
 *     const lifecycle = new Lifecycle({ warm, cold });
 *     lifecycle.start();
 *
 * Each is in one of the two places as a whole at every moment, whatever fails: a copy is verified before its source goes.
 * There is no state but what lies in the stores, so a run that was killed is simply gone on with by the next one, in any
 * process, and several may run at the same time.
 *
 * @throws ConfigurationError naming the option, what was expected and what came.
 */
export class Lifecycle {
  private readonly options: ReadLifecycleOptions;
  private readonly clock: Clock;
  private readonly log: LimitedLog;
  private readonly clockWatch: ClockWatch;
  /** Ends runs between two objects, and later the calls that are open. */
  private readonly interruption = new AbortController();
  private readonly end = new AbortController();
  private current: { readonly dryRun: boolean; readonly report: Promise<LifecycleReport> } | undefined;
  private separate: Promise<void> | undefined;
  private lastReport: LifecycleReport | undefined;
  private timer: Timer | undefined;
  private nextRunAt: number | undefined;
  private isStarted = false;

  constructor(options: LifecycleOptions) {
    this.options = readLifecycleOptions(options);
    this.clock = this.options.clock;
    this.log = new LimitedLog(OWNER, { clock: this.clock, intervalMillis: 60_000 });
    this.clockWatch = new ClockWatch(this.clock);
    setMaxListeners(0, this.interruption.signal, this.end.signal);
  }

  /**
   * Looks through the stores once. Resolves whatever the stores do: the report says what failed. There is one run at a time:
   * who calls while one is under way gets that one's report, or waits for it to end where only one of them is dry.
   * The process is kept alive meanwhile. Rejects with a `ConfigurationError` when an option is wrong.
   */
  run(options: LifecycleRunOptions = {}): Promise<LifecycleReport> {
    try {
      const report = this.runOne(readRunOptions(options));
      const letGo = keepAlive(this.clock);
      report.then(letGo, letGo);
      return report;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Makes a run every `intervalMillis`, the first one within a minute. The process is not kept alive by it. */
  start(): void {
    if (this.isStarted || this.interruption.signal.aborted) return;
    this.isStarted = true;
    this.schedule(Math.min(FIRST_RUN_MILLIS, this.options.intervalMillis) * this.options.random());
  }

  status(): LifecycleStatus {
    const { lastReport, nextRunAt } = this;
    const failure = lastReport?.failed.errors[0];
    return {
      running: this.current !== undefined,
      ...(lastReport && { lastReport }),
      ...(failure && { lastError: `${failure.key}: ${failure.message}` }),
      ...(nextRunAt !== undefined && { nextRunAt }),
    };
  }

  /** What is under way ends between two objects, or at the deadline (default 10 s from now) in the middle of one. */
  async shutdown({
    deadline = this.clock.now() + DEFAULT_SHUTDOWN_TIMEOUT_MILLIS,
  }: DeadlineOptions = {}): Promise<void> {
    this.clock.clearTimeout(this.timer);
    this.timer = undefined;
    this.nextRunAt = undefined;
    this.interruption.abort();
    if (this.current) await settledBy(this.clock, deadline, this.current.report);
    this.end.abort();
  }

  private runOne(options: ReturnType<typeof readRunOptions>): Promise<LifecycleReport> {
    const { current } = this;
    if (current?.dryRun === options.dryRun) return current.report;
    if (current) return current.report.then(() => this.runOne(options));
    const report = suppressTracing(() => this.make(options)).finally(() => {
      this.current = undefined;
    });
    this.current = { dryRun: options.dryRun, report };
    return report;
  }

  private async make({ signal, onProgress, ...how }: ReturnType<typeof readRunOptions>): Promise<LifecycleReport> {
    const interruption = new AbortController();
    setMaxListeners(0, interruption.signal);
    const interrupt = () => interruption.abort();
    const signals = [this.interruption.signal, ...(signal ? [signal] : [])];
    for (const each of signals) {
      if (each.aborted) interrupt();
      each.addEventListener('abort', interrupt, { once: true });
    }
    try {
      const heldBackReason = this.clockWatch.look();
      const report = await new LifecycleRun({
        ...this.options,
        ...how,
        heldBackReason,
        interruption: interruption.signal,
        end: this.end.signal,
        onProgress: (progress) => this.tellProgress(onProgress, progress),
        checkSeparate: (call) => this.checkSeparate(call),
      }).run();
      if (!how.dryRun) this.lastReport = report;
      this.logProblems(report, heldBackReason === undefined ? 'deleted' : 'moved or deleted for an hour');
      return report;
    } finally {
      for (const each of signals) each.removeEventListener('abort', interrupt);
    }
  }

  /** Once, and again only if that failed. */
  private checkSeparate(call: StoreCallOptions): Promise<void> {
    this.separate ??= (async () => {
      try {
        const { warm, cold } = this.options;
        await checkSeparate(warm, cold, { ...call, clock: this.clock });
      } catch (error) {
        this.separate = undefined;
        throw error;
      }
    })();
    return this.separate;
  }

  private schedule(delayMillis: number): void {
    this.nextRunAt = this.clock.wallTime() + delayMillis;
    this.timer = this.clock.setTimeout(async () => {
      this.nextRunAt = undefined;
      const begunAt = this.clock.now();
      await this.runOne(readRunOptions({}));
      if (this.interruption.signal.aborted) return;
      const { intervalMillis, random } = this.options;
      const dueInMillis = begunAt + intervalMillis * (1 + JITTER * (random() - 0.5)) - this.clock.now();
      this.schedule(Math.max(dueInMillis, intervalMillis * JITTER));
    }, delayMillis);
  }

  private tellProgress(
    onProgress: ((progress: LifecycleProgress) => void) | undefined,
    progress: LifecycleProgress,
  ): void {
    try {
      onProgress?.(progress);
    } catch (error) {
      this.log.warn('progress', () => `onProgress has thrown: ${describeError(toError(error))}`);
    }
  }

  private logProblems({ failed, damaged, heldBack }: LifecycleReport, what: string): void {
    const [failure] = failed.errors;
    if (failure) {
      this.log.warn('failed', () => `${failed.count} left for the next run; ${failure.key}: ${failure.message}`);
    }
    if (damaged.count > 0) {
      this.log.warn('damaged', () => `${damaged.count} objects are damaged, and not moved: ${damaged.keys[0]}`);
    }
    if (heldBack) {
      this.log.warn('clock', () => `nothing is ${what} (${heldBack.objects} objects): ${heldBack.reason}`);
    }
  }
}
