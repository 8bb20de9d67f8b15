export type PipelineName = 'stock' | 'stockFailover' | 'resilient';
export type CollectorName = 'A' | 'B';

export const PIPELINES: Readonly<Record<PipelineName, string>> = {
  stock: 'stock NodeSDK to A',
  stockFailover: 'stock, TCP failover to B',
  resilient: 'otel-resilience',
};

export interface Fault {
  readonly atMillis: number;
  readonly collector: CollectorName;
  readonly kind: 'dies' | 'returns';
}

/** The load and the faults that every pipeline gets. */
export interface Scenario {
  readonly requestsPerSecond: number;
  readonly durationMillis: number;
  readonly faults: readonly Fault[];
}

const SPANS_PER_SECOND = 2_000;
const SPANS_PER_REQUEST = 5; // so the shop is built

/** 2,000 spans/s for 40 s: A is dead from 5 s, both from 20 s to 30 s. `scale` shortens the times, not the rate. */
export function createScenario(scale: number): Scenario {
  const at = (seconds: number) => seconds * 1_000 * scale;
  return {
    requestsPerSecond: SPANS_PER_SECOND / SPANS_PER_REQUEST,
    durationMillis: at(40),
    faults: [
      { atMillis: at(5), collector: 'A', kind: 'dies' },
      { atMillis: at(20), collector: 'B', kind: 'dies' },
      { atMillis: at(30), collector: 'A', kind: 'returns' },
      { atMillis: at(30), collector: 'B', kind: 'returns' },
    ],
  };
}

/** Whether the scenario has the collector alive then. */
export function isAlive({ faults }: Scenario, collector: CollectorName, atMillis: number): boolean {
  const past = faults.filter((fault) => fault.collector === collector && fault.atMillis <= atMillis);
  return past.at(-1)?.kind !== 'dies';
}
