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

interface IdleConnection {
  readonly socket: Socket;
  /** Lets go of it, with nothing left behind. */
  readonly wake: () => void;
}

/** Takes a connection to go on with, or none: then it is its turn to open one. */
type Waiter = (socket: Socket | undefined) => void;

/**
 * Connections to one server, each for one request at a time. The one used last comes first, so that what a lower load
 * does not need gets old and is closed; who finds none waits in line. An idle connection does not keep the process alive.
 */
export class ConnectionPool {
  private readonly options: ConnectionPoolOptions;
  private readonly idle: IdleConnection[] = [];
  private readonly waiting = new Set<Waiter>();
  /** Connections in use or being opened. */
  private busy = 0;
  private closed = false;

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
    if (keep) this.keep(socket, keepMillis);
  }

  dropIdle(): void {
    for (const { socket, wake } of this.idle.splice(0)) {
      wake();
      socket.destroy();
    }
  }

  /** Closes what is idle. What is in use is closed when it is given back. */
  shutdown(): void {
    this.closed = true;
    this.dropIdle();
  }

  private takeIdle(): Socket | undefined {
    for (let last = this.idle.pop(); last; last = this.idle.pop()) {
      last.wake();
      if (last.socket.writable) {
        last.socket.ref();
        this.busy++;
        return last.socket;
      }
      last.socket.destroy(); // it is closing, and has not said so yet
    }
    return undefined;
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
      return { socket: await this.options.open(signal), reused: false };
    } catch (error) {
      if (!this.serveNext(undefined)) this.busy--;
      throw error;
    }
  }

  private keep(socket: Socket, millis: number): void {
    const { clock } = this.options;
    const drop = () => {
      this.idle.splice(this.idle.indexOf(kept), 1);
      kept.wake();
      socket.destroy();
    };
    const timer: Timer = clock.setTimeout(drop, millis);
    const kept: IdleConnection = {
      socket,
      wake: () => {
        clock.clearTimeout(timer);
        socket.off('data', drop).off('end', drop).off('close', drop);
      },
    };
    // A server that speaks without being asked has not understood, or says that it is about to close.
    socket.on('data', drop).on('end', drop).on('close', drop);
    socket.unref();
    this.idle.push(kept);
  }
}
