import type { Socket } from 'node:net';
import { type Clock, ExportError, type Timer } from '@otel-resilience/core';

export interface ConnectionPoolOptions {
  /** Open at a time, at most. */
  readonly size: number;
  readonly open: (signal: AbortSignal) => Promise<Socket>;
  readonly clock: Clock;
}

export interface PooledConnection {
  readonly socket: Socket;
  /** Whether it has served a request before: the server may be closing it just now. */
  readonly reused: boolean;
}

/** Takes a connection to go on with, or none: then it is its turn to open one. */
type Waiter = (socket: Socket | undefined) => void;

/**
 * Connections to one server, each for one request at a time. The one used last comes first, so that what a lower load
 * does not need gets old and is closed; who finds none waits in line. An idle connection does not keep the process alive.
 *
 * A request costs it no timer and no listener: there is one timer for all, and listeners stay as long as the connection.
 */
export class ConnectionPool {
  private readonly options: ConnectionPoolOptions;
  /** Until when each may be kept, the one used last at the end. */
  private readonly idle = new Map<Socket, number>();
  private readonly waiting = new Set<Waiter>();
  /** Connections in use or being opened. */
  private busy = 0;
  private closed = false;
  private timer: Timer | undefined;

  constructor(options: ConnectionPoolOptions) {
    this.options = options;
  }

  /** What is acquired has to be given back by `release`. Rejects as opening did, or with the signal's reason. */
  async acquire(signal: AbortSignal): Promise<PooledConnection> {
    signal.throwIfAborted();
    if (this.closed) throw new ExportError('SHUTDOWN', 'the transport is shut down');
    const kept = this.takeIdle() ?? (await this.turn(signal));
    return kept ? { socket: kept, reused: true } : this.open(signal);
  }

  /** Gives a connection back: to be kept for so long, or, with 0, to be closed. */
  release(socket: Socket, keepMillis: number): void {
    const keep = keepMillis > 0 && !socket.destroyed && !this.closed;
    if (!keep) socket.destroy();
    if (this.serveNext(keep ? socket : undefined)) return;
    this.busy--;
    if (!keep) return;
    socket.unref();
    this.idle.set(socket, this.options.clock.now() + keepMillis);
    this.timer ??= this.dropLater(keepMillis);
  }

  dropIdle(): void {
    this.dropIdleUntil(Number.POSITIVE_INFINITY);
  }

  /** Closes what is idle. What is in use is closed when it is given back. */
  shutdown(): void {
    this.closed = true;
    this.dropIdle();
    this.stopTimer();
  }

  private takeIdle(): Socket | undefined {
    // Those that have just been ended, or are too old while the timer is late, are none.
    this.dropIdleUntil(this.options.clock.now());
    const socket = [...this.idle.keys()].at(-1);
    if (!socket) return undefined;
    this.idle.delete(socket);
    socket.ref();
    this.busy++;
    return socket;
  }

  /** Resolves with a connection to go on with, or with none when there is room for a new one. */
  private turn(signal: AbortSignal): Promise<Socket | undefined> {
    if (this.busy < this.options.size) {
      this.busy++;
      return Promise.resolve(undefined);
    }
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.waiting.delete(waiter);
        reject(signal.reason);
      };
      const waiter: Waiter = (socket) => {
        signal.removeEventListener('abort', onAbort);
        resolve(socket);
      };
      this.waiting.add(waiter);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Hands the place of a connection to whoever waits longest. */
  private serveNext(socket: Socket | undefined): boolean {
    const [first] = this.waiting;
    if (!first) return false;
    this.waiting.delete(first);
    first(socket);
    return true;
  }

  private async open(signal: AbortSignal): Promise<PooledConnection> {
    try {
      const socket = await this.options.open(signal);
      const dropIfIdle = () => {
        if (this.idle.has(socket)) this.drop(socket);
      };
      // A server that speaks without being asked has not understood, or says that it is about to close.
      socket.on('data', dropIfIdle).on('end', dropIfIdle).on('close', dropIfIdle);
      return { socket, reused: false };
    } catch (error) {
      if (!this.serveNext(undefined)) this.busy--;
      throw error;
    }
  }

  private drop(socket: Socket): void {
    this.idle.delete(socket);
    socket.destroy();
    if (this.idle.size === 0) this.stopTimer();
  }

  private stopTimer(): void {
    this.options.clock.clearTimeout(this.timer);
    this.timer = undefined;
  }

  private dropIdleUntil(now: number): void {
    for (const [socket, until] of this.idle) if (until <= now || !socket.writable) this.drop(socket);
  }

  private dropLater(millis: number): Timer {
    const { clock } = this.options;
    return clock.setTimeout(() => {
      this.timer = undefined;
      this.dropIdleUntil(clock.now());
      const next = Math.min(...this.idle.values());
      if (next < Number.POSITIVE_INFINITY) this.timer ??= this.dropLater(next - clock.now());
    }, millis);
  }
}
