/** The load, and when what dies and returns. */
export interface CrashScenario {
  readonly requestsPerSecond: number;
  readonly durationMillis: number;
  /** Both collectors die. */
  readonly outageAtMillis: number;
  /** The application is killed, and started again. */
  readonly killAtMillis: number;
  /** Both collectors return. */
  readonly returnAtMillis: number;
}

/** 2,000 spans/s for 20 s: both collectors dead from 4 s to 14 s, the application killed at 9 s. */
export function createCrashScenario(scale: number): CrashScenario {
  const at = (seconds: number) => seconds * 1_000 * scale;
  return {
    requestsPerSecond: 400,
    durationMillis: at(20),
    outageAtMillis: at(4),
    killAtMillis: at(9),
    returnAtMillis: at(14),
  };
}
