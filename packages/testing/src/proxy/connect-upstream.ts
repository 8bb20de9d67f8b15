import { connect, type Socket } from 'node:net';
import type { Clock } from '@otel-resilience/core';

export interface UpstreamAddress {
  readonly host: string;
  readonly port: number;
}

export interface ConnectOptions {
  readonly clock: Clock;
  /** For each upstream. */
  readonly timeoutMillis: number;
  readonly signal: AbortSignal;
}

/** Connects to the first upstream that accepts, in order; `undefined` when none does. */
export async function connectUpstream(
  upstreams: readonly UpstreamAddress[],
  options: ConnectOptions,
): Promise<Socket | undefined> {
  for (const address of upstreams) {
    const socket = await attempt(address, options);
    if (socket || options.signal.aborted) return socket;
  }
  return undefined;
}

function attempt(
  { host, port }: UpstreamAddress,
  { clock, timeoutMillis, signal }: ConnectOptions,
): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
    const settle = (result: Socket | undefined) => {
      clock.clearTimeout(timer);
      signal.removeEventListener('abort', giveUp);
      socket.off('connect', onConnect);
      socket.off('close', giveUp);
      resolve(result);
    };
    const giveUp = () => {
      socket.destroy();
      settle(undefined);
    };
    const onConnect = () => settle(socket);
    const timer = clock.setTimeout(giveUp, timeoutMillis);
    socket.on('error', () => {}); // 'close' follows
    socket.on('connect', onConnect);
    socket.on('close', giveUp);
    signal.addEventListener('abort', giveUp);
    if (signal.aborted) giveUp();
  });
}
