import { type Clock, ExportError, suppressTracing } from '@otel-resilience/core';
import type { TransportOptions } from '../transport-options.js';
import { type OpenSession, openSession } from './open-session.js';
import { reconnectDelay } from './reconnect-backoff.js';

/**
 *               start                 opened
 *     idle ──────────────▶ connecting ──────▶ idle          (the session is its owner's; see `SessionState`)
 *      ▲                       │
 *      │ time is up            │ failed, or the session ended without ever having answered a call
 *      └──────── backOff ◀─────┘                            any ──▶ closed, by `shutdown`
 *
 * One for all sessions to a server. It does nothing by itself: it is the calls that make it connect.
 */
export type ConnectorState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'connecting'; readonly attempt: Promise<void> }
  | { readonly kind: 'backOff'; readonly until: number }
  | { readonly kind: 'closed' };

export interface ConnectorEvents {
  onOpened(opened: OpenSession): void;
  onFailed(): void;
}

/** Connects, one attempt at a time, and not too often to a server that does not answer. */
export class Connector {
  /** Attempts that came to nothing, ever. */
  failedAttempts = 0;
  lastError: Error = new Error('not connected');
  private readonly options: TransportOptions;
  private readonly events: ConnectorEvents;
  private readonly clock: Clock;
  private readonly abort = new AbortController();
  private current: ConnectorState = { kind: 'idle' };
  private attemptsInVain = 0;
  private untried = true;
  private startedAt = Number.NEGATIVE_INFINITY;

  constructor(options: TransportOptions, events: ConnectorEvents) {
    this.options = options;
    this.events = events;
    this.clock = options.clock;
  }

  get state(): ConnectorState {
    const { current } = this;
    if (current.kind === 'backOff' && this.clock.now() >= current.until) this.current = { kind: 'idle' };
    return this.current;
  }

  /** Begins an attempt, if it is `idle`. */
  start(): void {
    if (this.state.kind !== 'idle') return;
    this.startedAt = this.clock.now();
    this.attemptsInVain++;
    // A session outlives the call that happens to need it first, and must not keep that call's context alive.
    this.current = { kind: 'connecting', attempt: suppressTracing(() => this.connect()) };
  }

  /** A new session has answered its first call: there is a server. */
  proven(): void {
    this.attemptsInVain = 0;
    this.untried = false;
  }

  /** An attempt failed, or what it opened never answered a call. */
  failed(error: Error): void {
    if (this.current.kind === 'closed') return;
    this.failedAttempts++;
    this.lastError = error;
    const until = this.startedAt + reconnectDelay(Math.max(1, this.attemptsInVain), this.options.random);
    if (this.current.kind !== 'connecting') this.current = { kind: 'backOff', until };
  }

  async shutdown(): Promise<void> {
    const { current } = this;
    this.current = { kind: 'closed' };
    this.abort.abort(new ExportError('SHUTDOWN', 'the transport was shut down'));
    if (current.kind === 'connecting') await current.attempt;
  }

  private async connect(): Promise<void> {
    try {
      const opened = await openSession(this.options, this.abort.signal, { untried: this.untried });
      if (this.current.kind === 'closed') {
        opened.socket.destroy();
        return;
      }
      this.current = { kind: 'idle' };
      this.events.onOpened(opened);
    } catch (error) {
      if (this.current.kind === 'closed') return;
      this.current = { kind: 'idle' };
      this.failed(error as Error);
      this.events.onFailed();
    }
  }
}
