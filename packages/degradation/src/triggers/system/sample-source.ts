import type { Clock } from '@otel-resilience/core';

/** Where a trigger's samples come from. */
export interface SampleSource {
  /** Takes a sample. A rejection is a failure of the trigger until a later sample succeeds. */
  sample(): Promise<void>;
  /** What the samples say, `undefined` while they say nothing. */
  read(): number | undefined;
  close?(): void;
}

/** Opens a source; called once per start of the trigger, and again when it rejects. */
export type OpenSource = (clock: Clock) => Promise<SampleSource>;
