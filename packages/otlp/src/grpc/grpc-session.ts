import { type ClientHttp2Session, type ClientHttp2Stream, constants, type OutgoingHttpHeaders } from 'node:http2';
import type { Socket } from 'node:net';
import { type Clock, ExportError } from '@otel-resilience/core';
import { Keepalive, type PingInterval } from './keepalive.js';
import type { OpenSession } from './open-session.js';

/**
 * - `open`: takes calls, as many at a time as the server allows.
 * - `verifying`: asked for a sign of life, since there is reason to doubt it; takes no new call until the verdict.
 * - `draining`: the server has sent GOAWAY, or answers no calls; those that it may answer go on, new ones belong on
 *   another session.
 * - `closed`: nothing is left of it; `cause` says why.
 */
export type SessionState =
  | { readonly kind: 'open' }
  | { readonly kind: 'verifying'; readonly verdict: Promise<void> }
  | { readonly kind: 'draining'; readonly cause: Error }
  | { readonly kind: 'closed'; readonly cause: Error };

export interface GrpcSessionOptions {
  readonly pingInterval: PingInterval;
  readonly pingTimeoutMillis: number;
  /** How long a connection in doubt has for a sign of life: a round trip, like the connect timeout. */
  readonly verifyTimeoutMillis: number;
  readonly clock: Clock;
  readonly onFirstAnswer: () => void;
  /** Called when it may take a call that it could not before, or can no longer take any. */
  readonly onChange: () => void;
}

/**
 * So many calls in a row without an answer, though the connection is alive, and it is left for another: what hangs may be
 * one server of several behind an address, or a flow-control window that nobody will open again.
 */
const UNANSWERED_CALLS = 3;

/** An HTTP/2 connection and the calls on it. Keeps the process alive while there are calls or it is held; pings while there are calls. */
export class GrpcSession {
  /** Resolves when the socket is gone. */
  readonly gone: Promise<void>;
  private readonly http2: ClientHttp2Session;
  private readonly socket: Socket;
  private readonly options: GrpcSessionOptions;
  private readonly keepalive: Keepalive;
  private current: SessionState = { kind: 'open' };
  private inFlight = 0;
  private holds = 0;
  private answered = false;
  /** Calls in a row whose deadline has passed. */
  private unanswered = 0;
  private lastStreamId = Number.POSITIVE_INFINITY;

  constructor({ http2, socket }: OpenSession, options: GrpcSessionOptions) {
    this.http2 = http2;
    this.socket = socket;
    this.options = options;
    this.gone = new Promise((resolve) => socket.once('close', () => resolve()));
    this.keepalive = new Keepalive({
      peer: this,
      interval: options.pingInterval,
      timeoutMillis: options.pingTimeoutMillis,
      clock: options.clock,
      onDead: () => this.close(lost(`no answer to a ping within ${options.pingTimeoutMillis} ms`)),
    });
    http2.on('goaway', (code, lastStreamId) => this.onGoaway(code, lastStreamId));
    http2.on('remoteSettings', () => options.onChange());
    http2.on('error', (error) => this.close(error));
    http2.on('close', () => this.close(lost('the server closed the connection')));
    socket.on('error', (error) => this.close(error));
    socket.on('close', () => this.close(lost('the server closed the connection')));
    socket.unref();
  }

  get state(): SessionState {
    return this.current;
  }

  /** Calls in flight. */
  get calls(): number {
    return this.inFlight;
  }

  get canTakeCall(): boolean {
    const { current, http2, inFlight } = this;
    return current.kind === 'open' && !http2.closed && inFlight < (http2.remoteSettings.maxConcurrentStreams ?? 1);
  }

  /** Whether a call on it has ever been answered, with whatever status. */
  get hasAnswered(): boolean {
    return this.answered;
  }

  /** Whether it has been idle for so long that it had better be verified before it is used. */
  get doubtful(): boolean {
    return this.current.kind === 'open' && this.inFlight === 0 && this.keepalive.stale;
  }

  get bytesRead(): number {
    return this.socket.bytesRead;
  }

  ping(onAnswer: () => void): void {
    const sent = this.http2.ping((error) => {
      if (!error) onAnswer();
    });
    if (!sent) throw lost('no ping can be sent');
  }

  /** Takes a place for a call, to be given back by `endCall`. */
  beginCall(): void {
    this.hold();
    if (this.inFlight++ === 0) this.keepalive.start();
  }

  /** Keeps the process alive, until as many `letGo`: somebody waits for this session. */
  hold(): void {
    if (this.holds++ === 0) this.socket.ref();
  }

  letGo(): void {
    if (--this.holds === 0) this.socket.unref();
  }

  /** Opens the call's stream. Throws when the session is no longer open. */
  request(headers: OutgoingHttpHeaders): ClientHttp2Stream {
    return this.http2.request(headers, { endStream: false });
  }

  endCall({ answered }: { readonly answered: boolean }): void {
    this.inFlight--;
    this.letGo();
    if (answered) {
      this.keepalive.noteSign();
      this.unanswered = 0;
      if (!this.answered) this.options.onFirstAnswer();
      this.answered = true;
    }
    if (this.inFlight === 0) {
      this.keepalive.stop();
      if (this.current.kind === 'draining') this.close(this.current.cause);
    }
    this.options.onChange();
  }

  /** A call's deadline has passed; `bytesBefore` is what had been read when it began. */
  onTimeout(bytesBefore: number): void {
    this.unanswered++;
    if (this.inFlight === 0 && this.bytesRead === bytesBefore) {
      this.close(lost('not a byte from the server until the deadline'));
    } else {
      // Other calls may be answered yet, or the silence began later: a ping tells.
      this.verify();
    }
  }

  /** Asks for a sign of life, and closes the session when there is none. Resolves with the verdict, never rejects. */
  verify(): Promise<void> {
    if (this.current.kind === 'verifying') return this.current.verdict;
    if (this.current.kind !== 'open') return Promise.resolve();
    const { verifyTimeoutMillis, onChange } = this.options;
    const verdict = this.keepalive.probe(verifyTimeoutMillis).then((alive) => {
      if (this.current.kind !== 'verifying') return;
      this.current = { kind: 'open' };
      if (!alive) this.close(lost(`no sign of life within ${verifyTimeoutMillis} ms`));
      else if (this.unanswered >= UNANSWERED_CALLS) this.drain(unanswered(this.unanswered));
      else onChange();
    });
    this.current = { kind: 'verifying', verdict };
    return verdict;
  }

  /** Whether the server has certainly not processed this stream: it was never sent, or GOAWAY has said so. */
  neverProcessed(stream: ClientHttp2Stream): boolean {
    return stream.id === undefined || stream.id > this.lastStreamId;
  }

  /** What has ended a stream of this session, if it was no fault of the stream's; `streamError` is what it has heard. */
  causeOfEnd(stream: ClientHttp2Stream, streamError: Error | undefined): Error | undefined {
    const cause = streamError ?? lost('the session has ended');
    if (stream.id === undefined) {
      this.drain(cause); // there are no more ids
      return cause;
    }
    if (this.http2.destroyed) this.close(cause); // streams hear of a protocol error before anybody else
    return this.current.kind === 'closed' ? this.current.cause : undefined;
  }

  /** Ends every call with `cause`, and leaves no socket, timer or stream. */
  close(cause: Error): void {
    if (this.current.kind === 'closed') return;
    this.current = { kind: 'closed', cause };
    this.keepalive.close();
    this.http2.destroy();
    // Not left to the session: it waits for the rest to be written, which a dead connection never is.
    this.socket.destroy();
    this.options.onChange();
  }

  private onGoaway(code: number, lastStreamId: number): void {
    if (code === constants.NGHTTP2_ENHANCE_YOUR_CALM) this.options.pingInterval.calmDown();
    this.lastStreamId = lastStreamId;
    const cause = lost(`the server has sent GOAWAY with code ${code}`);
    if (code === constants.NGHTTP2_NO_ERROR) this.drain(cause);
    else this.close(cause);
  }

  private drain(cause: Error): void {
    if (this.current.kind === 'closed') return;
    if (this.inFlight === 0) {
      this.close(cause);
      return;
    }
    this.current = { kind: 'draining', cause };
    this.options.onChange();
  }
}

const unanswered = (calls: number): Error =>
  new ExportError('DEADLINE_EXCEEDED', `${calls} calls in a row were not answered on a connection that is alive`);

const lost = (message: string): Error =>
  Object.assign(new Error(`connection lost: ${message}`), { code: 'ECONNRESET' });
