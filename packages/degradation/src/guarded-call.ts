import { isThenable, rankOf } from '@otel-resilience/core';

const MODERATE = rankOf('moderate');
const HEAVY = rankOf('heavy');

/**
 * From heavy on the fallback alone; at moderate the primary, and the fallback when that fails; below, the primary
 * with its errors. `record` hears how the primary ended. A primary that returns a promise has ended when that settles.
 */
export function guardedCall<T, F>(
  rank: number,
  primary: () => T,
  fallback: (error?: unknown) => F,
  record: (ok: boolean) => void,
): T | F {
  if (rank >= HEAVY) return fallback();
  const covered = rank >= MODERATE;
  let result: T;
  try {
    result = primary();
  } catch (error) {
    record(false);
    if (covered) return fallback(error);
    throw error;
  }
  if (!isThenable(result)) {
    record(true);
    return result;
  }
  const succeeded = (value: unknown) => {
    record(true);
    return value;
  };
  const failed = (error: unknown) => {
    record(false);
    if (covered) return fallback(error);
    throw error;
  };
  return result.then(succeeded, failed) as T;
}
