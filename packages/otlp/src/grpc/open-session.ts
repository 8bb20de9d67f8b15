import { type ClientHttp2Session, connect } from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { afterPoll } from '../after-poll.js';
import { ConnectionError } from '../connection/connection-error.js';
import { openSocket } from '../connection/open-socket.js';
import type { TransportOptions } from '../transport-options.js';
import { afterConnecting } from '../wrong-port.js';

export interface OpenSession {
  readonly http2: ClientHttp2Session;
  readonly socket: Socket;
}

/**
 * Opens a connection and speaks HTTP/2 on it: resolves when the server's SETTINGS have come, as gRPC has it, because
 * they are what tells a server from a port that merely accepts. They have the connect timeout for themselves. Where no
 * call was ever answered (`untried`), an error says what is perhaps wrong with the port.
 */
export async function openSession(
  options: TransportOptions,
  signal: AbortSignal,
  { untried = true } = {},
): Promise<OpenSession> {
  const { target, secure, tls, proxy, connectTimeoutMillis, keepalive, clock } = options;
  const socket = await openSocket(target, {
    ...(secure && { tls, alpn: ['h2'] }),
    ...(proxy && { proxy }),
    connectTimeoutMillis,
    tcpKeepaliveMillis: keepalive.tcpMillis,
    signal,
    clock,
  });
  try {
    if (secure && (socket as TLSSocket).alpnProtocol !== 'h2') {
      throw failure('ERR_NO_HTTP2', 'the server does not negotiate HTTP/2 (ALPN h2), which gRPC needs');
    }
    const http2 = startHttp2(socket, secure);
    await settingsReceived(http2, socket, options, signal);
    if (http2.closed || socket.destroyed) throw failure('ECONNRESET', 'closed as soon as HTTP/2 had begun');
    return { http2, socket };
  } catch (error) {
    socket.destroy();
    if (signal.aborted) throw signal.reason;
    throw new ConnectionError(
      options.authority,
      error,
      untried ? afterConnecting(error, { protocol: 'grpc', secure }) : '',
    );
  }
}

function startHttp2(socket: Socket, secure: boolean): ClientHttp2Session {
  const http2 = connect(secure ? 'https://localhost' : 'http://localhost', {
    createConnection: () => socket,
    settings: { enablePush: false, maxHeaderListSize: MAX_HEADER_BYTES },
    // Megabytes. Requests that wait for the server count too; they are bounded by who calls, and an HTTP/2 session
    // that reaches its limit only fails at random.
    maxSessionMemory: Number.MAX_SAFE_INTEGER,
  });
  return http2.on('error', () => {}); // whoever owns the session by then hears of it as well
}

// What core's reader of `grpc-status-details-bin` takes, and Node's own limit.
const MAX_HEADER_BYTES = 65_535;

function settingsReceived(
  http2: ClientHttp2Session,
  socket: Socket,
  { connectTimeoutMillis, clock }: TransportOptions,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: unknown) => {
      callOff();
      signal.removeEventListener('abort', onAbort);
      socket.off('error', settle);
      http2.off('remoteSettings', onSettings).off('error', settle).off('close', onClose);
      if (error === undefined) resolve();
      else reject(error);
    };
    const onSettings = () => settle();
    const onClose = () => settle(failure('ECONNRESET', 'closed before HTTP/2 had begun'));
    const onAbort = () => settle(signal.reason ?? new Error('aborted'));
    const callOff = afterPoll(clock, connectTimeoutMillis, () =>
      settle(failure('ETIMEDOUT', `no HTTP/2 SETTINGS within ${connectTimeoutMillis} ms`)),
    );
    // TLS 1.3: a server refuses our certificate when the handshake has ended for us, and Node tells the socket alone.
    socket.on('error', settle);
    http2.on('remoteSettings', onSettings).on('error', settle).on('close', onClose);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

const failure = (code: string, message: string) => Object.assign(new Error(message), { code });
