import type { Clock, Timer } from '@otel-resilience/core';
import { afterPoll } from '../after-poll.js';

/** The longest interval that {@link PingInterval.calmDown} leads to: more than any server's least interval known. */
export const MAX_PING_INTERVAL_MILLIS = 600_000;

/** How often a busy session pings; one for all sessions to a server, since it is the server that minds. */
export class PingInterval {
  private current: number;
  private readonly onChange: (millis: number) => void;

  constructor(millis: number, onChange: (millis: number) => void = () => {}) {
    this.current = millis;
    this.onChange = onChange;
  }

  get millis(): number {
    return this.current;
  }

  /** gRPC A8: on ENHANCE_YOUR_CALM "the client should double KEEPALIVE_TIME". Never more than 10 minutes. */
  calmDown(): void {
    if (this.current >= MAX_PING_INTERVAL_MILLIS) return;
    this.current = Math.min(this.current * 2, MAX_PING_INTERVAL_MILLIS);
    this.onChange(this.current);
  }
}

export interface Peer {
  /** All that has come from it. */
  readonly bytesRead: number;
  /** Sends a PING; `onAnswer` is called when it is answered. Throws when no PING can be sent. */
  ping(onAnswer: () => void): void;
}

export interface KeepaliveOptions {
  readonly peer: Peer;
  readonly interval: PingInterval;
  readonly timeoutMillis: number;
  readonly clock: Clock;
  /** The peer did not answer a ping of {@link Keepalive.start}. */
  readonly onDead: () => void;
}

/** Finds out whether the peer is still there. Any byte from it says that it is. */
export class Keepalive {
  private readonly options: KeepaliveOptions;
  private timer: Timer | undefined;
  private running = false;
  private silentSince = 0;
  private bytesSeen = 0;
  private readonly probes = new Set<(alive: boolean) => void>();
  private lastSignAt = 0;
  private lastSignWallTime = 0;

  constructor(options: KeepaliveOptions) {
    this.options = options;
    this.noteSign();
  }

  /** The peer has just been heard of. */
  noteSign(): void {
    this.lastSignAt = this.options.clock.now();
    this.lastSignWallTime = this.options.clock.wallTime();
  }

  /**
   * Whether the peer has not been heard of for longer than the interval, so that the connection may be gone without a
   * word. Wall time counts as well: a suspended machine's monotonic clock may stand still.
   */
  get stale(): boolean {
    const { clock, interval } = this.options;
    const silence = Math.max(clock.now() - this.lastSignAt, clock.wallTime() - this.lastSignWallTime);
    return silence > interval.millis;
  }

  /**
   * Pings, until `stop`, when nothing has come between two looks that are an interval apart: after a silence of one
   * interval to two. The timer outlasts a stop, so that calls in quick succession need not set it anew.
   */
  start(): void {
    this.running = true;
    this.silentSince = this.options.clock.now();
    this.bytesSeen = this.options.peer.bytesRead;
    this.timer ??= this.arm(this.options.interval.millis);
  }

  stop(): void {
    this.running = false;
  }

  /** Pings now: whether anything came within `timeoutMillis`. */
  probe(timeoutMillis: number): Promise<boolean> {
    const { peer, clock } = this.options;
    const before = peer.bytesRead;
    return new Promise((resolve) => {
      const settle = (alive: boolean) => {
        if (!this.probes.delete(settle)) return;
        callOff();
        if (alive) this.noteSign();
        resolve(alive);
      };
      this.probes.add(settle);
      const callOff = afterPoll(clock, timeoutMillis, () => settle(peer.bytesRead > before));
      try {
        peer.ping(() => settle(true));
      } catch {
        settle(false);
      }
    });
  }

  /** The end: leaves no timer, and answers what is asked. */
  close(): void {
    this.running = false;
    this.options.clock.clearTimeout(this.timer);
    this.timer = undefined;
    for (const settle of this.probes) settle(false);
  }

  private arm(millis: number): Timer {
    return this.options.clock.setTimeout(() => this.onInterval(), millis);
  }

  private async onInterval(): Promise<void> {
    const { peer, interval, timeoutMillis, clock, onDead } = this.options;
    this.timer = undefined;
    if (!this.running) return;
    if (peer.bytesRead > this.bytesSeen) {
      this.start();
      return;
    }
    const left = this.silentSince + interval.millis - clock.now();
    if (left > 0) this.timer = this.arm(left);
    else if (!(await this.probe(timeoutMillis))) onDead();
    else if (this.running) this.start();
  }
}
