/** The degradation levels, from all is well to survival. */
export const LEVELS = ['normal', 'light', 'moderate', 'heavy', 'emergency'] as const;

export type Level = (typeof LEVELS)[number];

/** What share of the requests the sampler keeps at each level, by default. */
export const RATIOS: Readonly<Record<Level, number>> = {
  normal: 1,
  light: 0.5,
  moderate: 0.1,
  heavy: 0.01,
  emergency: 0.001,
};

export const rankOf = (level: Level): number => LEVELS.indexOf(level);

export const highest = (levels: Iterable<Level>): Level => LEVELS[Math.max(0, ...Array.from(levels, rankOf))]!;
