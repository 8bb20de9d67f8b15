import { ExportError, LimitedLog } from '@otel-resilience/core';
import { type CallScope, orAborted } from '../call-scope.js';
import type { TransportOptions } from '../transport-options.js';
import { Connector } from './connector.js';
import { GrpcSession } from './grpc-session.js';
import { PingInterval } from './keepalive.js';
import type { OpenSession } from './open-session.js';

/** Finds a session for each call, up to `connections` of them: the one with the fewest calls in flight. */
export class SessionPool {
  private readonly options: TransportOptions;
  private readonly pingInterval: PingInterval;
  private readonly connector: Connector;
  /** Those that take calls, or may take them again. */
  private readonly sessions = new Set<GrpcSession>();
  private readonly draining = new Set<GrpcSession>();
  private readonly waiting = new Set<() => void>();
  private closed = false;

  constructor(options: TransportOptions) {
    this.options = options;
    const log = new LimitedLog('OtlpSpanExporter', { clock: options.clock });
    this.pingInterval = new PingInterval(options.keepalive.pingIntervalMillis, (millis) => {
      log.warn('pings', () => `${options.authority} asks for fewer keepalive pings: one every ${millis / 1000} s now`);
    });
    this.connector = new Connector(options, {
      onOpened: (opened) => this.add(opened),
      onFailed: () => this.wakeAll(),
    });
  }

  /**
   * A session with a place for one call, which must be given back by `endCall`. Waits as long as `scope` allows while
   * all are full, and for one that is being verified or connected; but for one failed attempt at most, beside one that
   * had begun before it came, and never for a back-off: then it rejects with the error of the last attempt, so that
   * breakers and failover act.
   */
  async acquire(scope: CallScope): Promise<GrpcSession> {
    const { connector } = this;
    let mayFail: number | undefined; // how many failed attempts there may ever have been, for this call to go on
    for (;;) {
      if (this.closed) throw shutDown();
      scope.signal.throwIfAborted();
      const session = this.leastLoaded();
      if (session?.doubtful) {
        await this.held([session], orAborted(session.verify(), scope.signal));
      } else if (session) {
        // Another connection is worth while once this one is busy, but nothing waits for it.
        if (session.calls > 0 && this.hasRoom) connector.start();
        session.beginCall();
        return session;
      } else if (
        this.hasRoom &&
        connector.state.kind !== 'backOff' &&
        connector.failedAttempts <= (mayFail ?? connector.failedAttempts)
      ) {
        // A probe every 500 ms would otherwise share the fate of the one before, whose attempt lasts as long as that.
        mayFail ??= connector.failedAttempts + (connector.state.kind === 'connecting' ? 1 : 0);
        connector.start();
        await this.change(scope);
      } else if (this.sessions.size > 0) {
        await this.change(scope);
      } else {
        throw connector.lastError;
      }
    }
  }

  /** Rejects a call that could only fail, before it is compressed. */
  throwIfBackingOff(): void {
    if (this.sessions.size === 0 && this.connector.state.kind === 'backOff') throw this.connector.lastError;
  }

  /** Ends every call in flight or waiting; resolves when no socket is left. */
  async shutdown(): Promise<void> {
    this.closed = true;
    this.wakeAll();
    const sessions = [...this.sessions, ...this.draining];
    for (const session of sessions) session.close(shutDown());
    await Promise.all([this.connector.shutdown(), ...sessions.map(({ gone }) => gone)]);
  }

  private get hasRoom(): boolean {
    return this.sessions.size < this.options.connections;
  }

  private leastLoaded(): GrpcSession | undefined {
    let best: GrpcSession | undefined;
    for (const session of this.sessions) {
      if (session.canTakeCall && (!best || session.calls < best.calls)) best = session;
    }
    return best;
  }

  private add(opened: OpenSession): void {
    const session: GrpcSession = new GrpcSession(opened, {
      pingInterval: this.pingInterval,
      pingTimeoutMillis: this.options.keepalive.pingTimeoutMillis,
      verifyTimeoutMillis: this.options.connectTimeoutMillis,
      clock: this.options.clock,
      onFirstAnswer: () => this.connector.proven(),
      onChange: () => this.onChange(session),
    });
    this.sessions.add(session);
    if (this.closed) session.close(shutDown());
    this.onChange(session);
  }

  private onChange(session: GrpcSession): void {
    const { state } = session;
    if (state.kind === 'draining') {
      this.sessions.delete(session);
      this.draining.add(session);
    } else if (state.kind === 'closed') {
      // Not judged before: calls that GOAWAY covers may be answered yet.
      const wasHere = this.sessions.delete(session) || this.draining.delete(session);
      if (wasHere && !session.hasAnswered) this.connector.failed(state.cause);
    }
    this.wakeAll();
  }

  private wakeAll(): void {
    for (const wake of this.waiting) wake();
  }

  private async change(scope: CallScope): Promise<void> {
    let wake!: () => void;
    const changed = new Promise<void>((resolve) => {
      wake = resolve;
    });
    this.waiting.add(wake);
    try {
      const verifying = [...this.sessions].filter(({ state }) => state.kind === 'verifying');
      await this.held(verifying, orAborted(changed, scope.signal));
    } finally {
      this.waiting.delete(wake);
    }
  }

  /** A verdict is in nobody's interest but the waiting call's: without this the process could end in between. */
  private async held(sessions: readonly GrpcSession[], wait: Promise<void>): Promise<void> {
    for (const session of sessions) session.hold();
    try {
      await wait;
    } finally {
      for (const session of sessions) session.letGo();
    }
  }
}

const shutDown = () => new ExportError('SHUTDOWN', 'the transport was shut down');
