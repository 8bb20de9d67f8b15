import { NodeSDK } from '@opentelemetry/sdk-node';
import { type ResilienceStatus, resilience } from '@otel-resilience/node';
import { type Level, rankOf } from '../level.js';
import { EVALUATION_INTERVAL_MILLIS, RECOVERY_INTERVAL_MILLIS } from '../pressure/scenario.js';
import type { Reason, Transition } from '../pressure/transition.js';

export interface PressuredPipeline {
  readonly sdk: NodeSDK;
  level(): Level;
  status(): ResilienceStatus;
  degradation(): DegradationView;
  /** Oldest first. */
  transitions(): readonly Transition[];
}

/** What the demo shows of the controller. */
export interface DegradationView {
  readonly level: Level;
  readonly reason: Reason | undefined;
  /** What share of the requests is sampled. */
  readonly ratio: number;
  /** The triggers that ask for more than `normal`. */
  readonly asks: Readonly<Record<string, Level>>;
}

/** The preset, quicker to judge than by default: half a minute is short. */
export function createPressuredPipeline(urls: readonly string[]): PressuredPipeline {
  const r = resilience({
    endpoints: urls,
    degradation: {
      evaluationIntervalMillis: EVALUATION_INTERVAL_MILLIS,
      recoveryIntervalMillis: RECOVERY_INTERVAL_MILLIS,
      triggers: { memory: false }, // how full the host's is has nothing to do with this
    },
    processor: { scheduledDelayMillis: 1_000 },
  });
  return {
    sdk: new NodeSDK({ serviceName: 'outage-demo-shop', ...r.sdk }),
    level: () => r.degradation.level,
    status: () => r.status(),
    degradation: () => {
      const { degradation, sampling } = r.status();
      const { level, reason, triggers } = degradation;
      const asking = triggers.filter(({ asks }) => rankOf(asks) > 0);
      const asks = Object.fromEntries(asking.map((trigger) => [trigger.name, trigger.asks]));
      return { level, reason, ratio: sampling.ratio, asks };
    },
    transitions: () => r.degradation.history(),
  };
}
