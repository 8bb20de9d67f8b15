const HOUR_MILLIS = 3_600_000;
const DAY_MILLIS = 24 * HOUR_MILLIS;

/** How old an archive object gets where: ages, counted from the end of the hour in its key. */
export interface ArchiveAges {
  /** Up to this age, and with it, it belongs to warm; in milliseconds. */
  readonly coldAfterMillis: number;
  /** Up to this age, and with it, to cold; beyond it is deleted. In milliseconds. */
  readonly deleteAfterMillis: number;
}

export type ArchivePlace = 'warm' | 'cold' | 'gone';

/** 30 days in warm, and up to an age of 90 days in cold. */
export const DEFAULT_ARCHIVE_AGES: ArchiveAges = {
  coldAfterMillis: 30 * DAY_MILLIS,
  deleteAfterMillis: 90 * DAY_MILLIS,
};

/**
 * Where an object belongs whose spans ended in the hour that begins at `hourMillis` (`ArchiveEntry.hourMillis`), by
 * wall time. Its age is counted from the end of that hour, when all of them had ended.
 */
export function placeFor(hourMillis: number, nowMillis: number, ages: ArchiveAges): ArchivePlace {
  const ageMillis = nowMillis - (hourMillis + HOUR_MILLIS);
  if (ageMillis > ages.deleteAfterMillis) return 'gone';
  return ageMillis > ages.coldAfterMillis ? 'cold' : 'warm';
}
