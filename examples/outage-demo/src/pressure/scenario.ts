export type PhaseName = 'calm' | 'cpu' | 'cooling' | 'loop' | 'recovery';

export interface Phase {
  readonly name: PhaseName;
  readonly title: string;
  /** It lasts as long as this at least, and then until the level is what it has to be. */
  readonly minMillis: number;
  readonly until: 'raised' | 'normal';
}

/** The load, and what the host and the application go through. */
export interface PressureScenario {
  readonly requestsPerSecond: number;
  readonly phases: readonly Phase[];
}

/** The default of tail sampling. */
export const SLOW_MILLIS = 1_000;
export const RECOVERY_INTERVAL_MILLIS = 1_000;
export const EVALUATION_INTERVAL_MILLIS = 500;

/** How the event loop is blocked: for so long, again and again, with room for the requests between. */
export const BLOCKED_MILLIS = 300;
export const BETWEEN_BLOCKS_MILLIS = 150;

/** What of the orders goes wrong, besides the payments that are declined. */
export const TROUBLES = { slowPaymentEvery: 40, noInventoryEvery: 60 };

/** How much longer than its least time a phase may wait for its level: others may keep the host busy for a while. */
export const PATIENCE_MILLIS = 90_000;

/** About half a minute. `scale` shortens the least times, not the rate, and not what the controller takes its time for. */
export function createPressureScenario(scale: number): PressureScenario {
  const phase = (name: PhaseName, seconds: number, until: Phase['until'], title: string): Phase => ({
    name,
    title,
    minMillis: seconds * 1_000 * scale,
    until,
  });
  return {
    requestsPerSecond: 200,
    phases: [
      phase('calm', 4, 'normal', 'calm'),
      phase('cpu', 8, 'raised', 'every core burns'),
      phase('cooling', 2, 'normal', 'calm again'),
      phase('loop', 6, 'raised', 'the event loop blocks'),
      phase('recovery', 2, 'normal', 'calm again'),
    ],
  };
}
