import {
  type Clock,
  ConfigurationError,
  DEGRADATION_LEVELS,
  type DegradationLevel,
  type DegradationStrategy,
  type Instruments,
  isThenable,
  type LevelSource,
  LimitedLog,
  Listeners,
  rankOf,
  suppressTracing,
} from '@otel-resilience/core';
import { ChangeLimiter } from './change-limiter.js';
import { controllerInstruments } from './controller-instruments.js';
import {
  type ControllerSettings,
  type DegradationControllerOptions,
  readControllerOptions,
} from './controller-options.js';
import type { ControllerStatus } from './controller-status.js';
import { EvaluationRound } from './evaluation-round.js';
import { EvaluationTimer } from './evaluation-timer.js';
import { DEGRADATION_EVENTS, type DegradationEventName, type DegradationEvents } from './events.js';
import { FeatureGates } from './feature-gates.js';
import { type ForceOptions, readForce } from './forced-level.js';
import { guardedCall } from './guarded-call.js';
import { LevelInForce } from './level-in-force.js';
import { LevelMachine } from './level-machine.js';
import type { DegradationTransition, TransitionReason } from './transition.js';
import { TriggerWatch } from './trigger-watch.js';

const OWNER = 'DegradationController';

/**
 * Watches the host, the process and the pipeline, and says at which level of degradation the application is.
 *
 *     normal ⇄ light ⇄ moderate ⇄ heavy ⇄ emergency
 *
 * Every `evaluationIntervalMillis` it reads all triggers. The level rises at once to the highest that any of them asks
 * for; it goes down one level per `recoveryIntervalMillis`, and only while every trigger is below its recovery
 * threshold. A trigger that fails keeps what it said before. Immediate triggers are also read when signals change.
 */
export class DegradationController implements LevelSource {
  private readonly settings: ControllerSettings;
  private readonly clock: Clock;
  private readonly log: LimitedLog;
  private readonly machine: LevelMachine;
  private readonly watches: readonly TriggerWatch[];
  private readonly immediate: readonly TriggerWatch[];
  private readonly round: EvaluationRound;
  private readonly timer: EvaluationTimer;
  private readonly changes: ChangeLimiter;
  private readonly current: LevelInForce;
  private readonly features: FeatureGates;
  private readonly listeners: Listeners<DegradationEvents>;
  private readonly activeFrom: Readonly<Record<DegradationStrategy, number>>;
  private reason: TransitionReason | undefined;
  private running: { readonly instruments: Instruments; readonly unsubscribe: ReadonlyArray<() => void> } | undefined;

  /** Throws a `ConfigurationError` for a wrong option. Starts nothing. */
  constructor(options: DegradationControllerOptions) {
    this.settings = readControllerOptions(OWNER, options);
    const { clock, triggers, features, strategies } = this.settings;
    this.clock = clock;
    this.log = new LimitedLog(OWNER, { clock });
    this.listeners = new Listeners(OWNER, DEGRADATION_EVENTS, this.log);
    this.machine = new LevelMachine(this.settings.recoveryIntervalMillis);
    this.watches = triggers.map((trigger) => new TriggerWatch(trigger, clock, (watch) => this.failed(watch)));
    this.immediate = this.watches.filter(({ watched }) => watched.immediate);
    const { triggerTimeoutMillis, evaluationIntervalMillis } = this.settings;
    // One that is slow must not delay the next evaluation, which the others may raise.
    this.round = new EvaluationRound(clock, Math.min(triggerTimeoutMillis, evaluationIntervalMillis));
    this.timer = new EvaluationTimer(clock, this.settings.evaluationIntervalMillis, () => this.evaluate());
    this.changes = new ChangeLimiter(clock, () => this.lookAtImmediate());
    this.current = new LevelInForce(this.machine, this.settings, this.listeners, this.log);
    this.features = new FeatureGates(features, this.log);
    this.activeFrom = ranksOf(strategies);
  }

  /** The level in force: the forced one, else `normal` with `monitorOnly`, else the automatic one. */
  get level(): DegradationLevel {
    return this.current.level;
  }

  /** Whether a strategy is in force at the present level. */
  isActive(strategy: DegradationStrategy): boolean {
    return this.current.rank >= this.activeFrom[strategy];
  }

  /** Begins to watch; the first evaluation is one interval from now. Does nothing when it runs or is not enabled. */
  start(): void {
    if (this.running || !this.settings.enabled) return;
    const { metrics, signals, evaluationIntervalMillis } = this.settings;
    const instruments = controllerInstruments(this.current, this.watches, metrics);
    const unsubscribe: Array<() => void> = [];
    this.running = { instruments, unsubscribe };
    // Whoever has started the first span has nothing to do with what the triggers do.
    suppressTracing(() => {
      instruments.refresh();
      for (const watch of this.watches) {
        this.call(watch, 'start', () => watch.watched.trigger.start?.(this.clock, evaluationIntervalMillis));
      }
      if (this.immediate.length > 0) {
        for (const source of signals) unsubscribe.push(source.onChange(this.changes.changed));
      }
      this.timer.start();
    });
  }

  /** Watches no longer and leaves no timer: a force ends, and the level is `normal`. It may be started again. */
  stop(): void {
    const { running } = this;
    this.running = undefined;
    for (const undo of running?.unsubscribe ?? []) undo();
    this.timer.stop();
    this.changes.stop();
    this.round.cancel();
    if (running) for (const watch of this.watches) this.call(watch, 'stop', () => watch.watched.trigger.stop?.());
    for (const watch of this.watches) watch.reset();
    this.reason = undefined;
    this.current.stop();
    running?.instruments.shutdown();
  }

  /**
   * Sets the level by hand until `release()` or the end of `ttlMillis`; the automatic level goes on moving underneath.
   * Throws a `ConfigurationError` for an unknown level or a wrong `ttlMillis`. Does nothing when not enabled.
   */
  force(level: DegradationLevel, options: ForceOptions = {}): void {
    const read = readForce(`${OWNER}.force`, level, options);
    if (!this.settings.enabled) {
      this.log.warn('disabled', () => `not enabled: the level ${level} was not forced`);
      return;
    }
    this.current.force(level, read);
  }

  /** Ends a force: the level is the automatic one again, at once. */
  release(): void {
    this.current.release();
  }

  /** The last 1,000 transitions, oldest first. */
  history(): readonly DegradationTransition[] {
    return this.current.history.list();
  }

  /**
   * Whether the application should offer a feature at the present level. Allocates nothing. A feature that nobody has
   * declared is not available, and that is logged.
   */
  isFeatureAvailable(feature: string): boolean {
    return this.features.isAvailable(feature, this.current.rank);
  }

  /** Calls `fn` and returns what it returns if the feature is available; otherwise returns `undefined`. */
  runIfAvailable<T>(feature: string, fn: () => T): T | undefined {
    assertFunction(`${OWNER}.runIfAvailable.fn`, fn);
    return this.isFeatureAvailable(feature) ? fn() : undefined;
  }

  /**
   * Calls `primary`, or what stands in for it: from `heavy` on `fallback` alone; at `moderate` `primary`, and
   * `fallback` with the error when it fails; below, `primary` with its errors. The level is that at the call. Both
   * return a value or both a promise. How `primary` ended is told to the triggers (see `ErrorRateTrigger`).
   */
  guard<T, F = T>(primary: () => T, fallback: (error?: unknown) => F): T | F {
    assertFunction(`${OWNER}.guard.primary`, primary);
    assertFunction(`${OWNER}.guard.fallback`, fallback);
    return guardedCall(this.current.rank, primary, fallback, (ok) => {
      for (const watch of this.watches) {
        this.call(watch, 'recordOutcome', () => watch.watched.trigger.recordOutcome?.(ok));
      }
    });
  }

  /**
   * Calls `listener` after every transition, or every time a trigger could not be read. Returns the function that takes
   * the listener away. What a listener throws is logged. Throws a `ConfigurationError` for another event or no function.
   */
  on<N extends DegradationEventName>(event: N, listener: (event: DegradationEvents[N]) => unknown): () => void {
    return this.listeners.add(event, listener);
  }

  status(): ControllerStatus {
    const { enabled, monitorOnly } = this.settings;
    const strategies = Object.keys(this.activeFrom) as DegradationStrategy[];
    return {
      enabled,
      running: this.running !== undefined,
      level: this.current.level,
      automaticLevel: this.machine.level,
      ...(this.current.forced && { forced: this.current.forced }),
      monitorOnly,
      ...(this.reason && { reason: this.reason }),
      heldBy: this.machine.rank === 0 ? [] : this.watches.filter(({ calm }) => !calm).map(({ name }) => name),
      triggers: this.watches.map((watch) => watch.status()),
      strategies: strategies.filter((strategy) => this.isActive(strategy)),
      features: this.features.at(this.current.rank),
    };
  }

  private evaluate(): void {
    this.running?.instruments.refresh();
    this.round.run(this.watches, () => {
      if (!this.running) return; // a listener has stopped it
      const asked = Math.max(0, ...this.watches.map(({ counts }) => counts));
      const calm = this.watches.every((watch) => watch.calm);
      const from = this.machine.level;
      const now = this.clock.now();
      const moved = this.machine.decide(now, { asked, calm });
      this.explain();
      if (moved === 'raised') this.current.follow('trigger', from, this.reason);
      if (moved === 'recovered') this.current.follow('recovery', from);
      if (this.running) this.timer.arm(this.machine.recoveryDueAt(this.clock.now()));
    });
  }

  /** A signal has changed: what that may have moved is read at once, and can only raise the level. */
  private lookAtImmediate(): void {
    suppressTracing(() => {
      for (const watch of this.immediate) {
        // One that fails is left to the evaluations, else it would be counted and logged with every batch.
        if (watch.failing === undefined) watch.read()?.then(() => this.raise());
      }
      this.raise();
    });
  }

  private raise(): void {
    if (!this.running) return;
    const asked = Math.max(0, ...this.immediate.map(({ counts }) => counts));
    const from = this.machine.level;
    const now = this.clock.now();
    if (!this.machine.raise(now, asked)) return;
    this.changes.raised();
    this.explain();
    this.current.follow('trigger', from, this.reason);
    if (this.running && !this.round.isOpen) this.timer.arm(this.machine.recoveryDueAt(now));
  }

  /** Keeps what asks for the level; when nothing does any longer, what did last, until the level is normal. */
  private explain(): void {
    let most: TriggerWatch | undefined;
    for (const watch of this.watches) if (watch.counts > (most?.counts ?? 0)) most = watch;
    // What asks for less than the level explains nothing of it; it may be what holds it, which `heldBy` says.
    if (most && most.counts >= this.machine.rank) {
      this.reason = { trigger: most.name, value: most.value!, threshold: most.threshold! };
    } else if (this.machine.rank === 0) this.reason = undefined;
  }

  private failed({ name, failing = '', failures }: TriggerWatch): void {
    this.log.warn('trigger', () => `the trigger ${name} could not be read: ${failing}`);
    this.listeners.emit('triggerFailure', Object.freeze({ trigger: name, error: failing, failures }));
  }

  /** A trigger is somebody else's code. */
  private call(watch: TriggerWatch, method: string, run: () => unknown): void {
    const warn = (thrown: unknown) =>
      this.log.warn(method, () => `${method} of the trigger ${watch.name} failed: ${thrown}`);
    try {
      const returned = run();
      if (isThenable(returned)) returned.then(undefined, warn);
    } catch (thrown) {
      warn(thrown);
    }
  }
}

function ranksOf(strategies: ControllerSettings['strategies']): Readonly<Record<DegradationStrategy, number>> {
  const ranks = Object.entries(strategies).map(([strategy, level]) => [
    strategy,
    level === 'off' ? DEGRADATION_LEVELS.length : rankOf(level),
  ]);
  return Object.freeze(Object.fromEntries(ranks));
}

function assertFunction(path: string, value: unknown): void {
  if (typeof value !== 'function') throw new ConfigurationError(path, 'a function', value);
}
