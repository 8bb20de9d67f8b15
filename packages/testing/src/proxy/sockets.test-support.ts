import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { FaultProxy, type FaultProxyOptions } from './fault-proxy.js';

const toClose: (() => unknown)[] = [];

/** Closes whatever the helpers of this file have opened, the latest first. */
export async function closeAll(): Promise<void> {
  for (const close of toClose.splice(0).reverse()) await close();
}

/** A server that keeps what it receives and echoes it. */
export async function echoServer(onSocket: (socket: Socket) => void = (socket) => socket.pipe(socket)) {
  const sockets: Socket[] = [];
  const received: Buffer[] = [];
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.on('data', (bytes: Buffer) => received.push(bytes));
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  };
  toClose.push(close);
  return {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    sockets,
    close,
    received: () => Buffer.concat(received),
  };
}

export async function proxyTo(options: FaultProxyOptions) {
  const proxy = new FaultProxy(options);
  toClose.push(() => proxy.stop());
  await proxy.start();
  return proxy;
}

export class Client {
  readonly socket: Socket;
  readonly closed: Promise<string>;
  private chunks: Buffer[] = [];
  private code = '';

  constructor(proxy: FaultProxy) {
    this.socket = connect({ port: proxy.port, host: proxy.host, noDelay: true });
    toClose.push(() => {
      this.socket.destroy();
    });
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      this.code = error.code ?? '';
    });
    this.socket.on('data', (bytes: Buffer) => this.chunks.push(bytes));
    this.closed = new Promise((resolve) => this.socket.on('close', () => resolve(this.code)));
  }

  received(): Buffer {
    return Buffer.concat(this.chunks);
  }

  async receives(byteLength: number): Promise<Buffer> {
    await until(() => this.received().byteLength >= byteLength);
    return this.received();
  }
}

export async function until(condition: () => boolean, timeoutMillis = 5_000): Promise<void> {
  const deadline = performance.now() + timeoutMillis;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMillis} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** For what must NOT happen: long enough for loopback to have done it. */
export const aWhile = () => new Promise((resolve) => setTimeout(resolve, 60));

export const body = (byteLength: number) => Buffer.from(Array.from({ length: byteLength }, (_, i) => (i * 31) % 251));
