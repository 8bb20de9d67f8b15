import type { Clock } from '@otel-resilience/core';

export type Direction = 'toUpstream' | 'toClient';

/** What a proxy does with its connections. */
export type ProxyMode =
  /** Bytes pass, shaped as the link says. */
  | 'pass'
  /** Nobody listens. */
  | 'refuse'
  /** Connections are accepted; what is sent is swallowed, and closes are not passed on. */
  | 'blackHole'
  /** Connections are accepted; what is sent waits, as far as the buffers of the systems go. */
  | 'stall';

/** Cuts a connection once `bytes` have passed in `direction` since this was set. */
export interface Cut {
  readonly bytes: number;
  readonly direction: Direction;
  timesLeft: number;
}

/** The conditions all connections of one proxy share; they read them anew whenever told to `update`. */
export interface Link {
  readonly clock: Clock;
  readonly random: () => number;
  mode: ProxyMode;
  /** What becomes of connections that lost bytes in a black hole, once it ends. */
  afterBlackHole: 'reset' | 'silent';
  latencyMillis: number;
  jitterMillis: number;
  /** 0: unlimited. */
  throttleBytesPerSecond: number;
  cut: Cut | undefined;
  readonly passedBytes: Record<Direction, number>;
}
