import { readFileSync } from 'node:fs';
import type { Server as HttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';

const toClose: (() => unknown)[] = [];

/** Closes whatever the helpers of this file have opened, the latest first. */
export async function closeAll(): Promise<void> {
  for (const close of toClose.splice(0).reverse()) await close();
}

export const fixturePath = (name: string): string => join(import.meta.dirname, '../../test-fixtures/tls', name);

/** A file of test-fixtures/tls. */
export const fixture = (name: string): Buffer => readFileSync(fixturePath(name));

export interface Listening {
  readonly host: string;
  readonly port: number;
  /** Connections that are open now, at the level of TCP. */
  readonly sockets: ReadonlySet<Socket>;
  /** How many were ever accepted. */
  accepted(): number;
}

/** Listens on a free port of 127.0.0.1, or on a unix socket, and counts connections. */
export async function listening(server: Server | HttpServer, path?: string): Promise<Listening> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  server.on('connection', (socket: Socket) => {
    accepted++;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => {
    if (path) server.listen(path, resolve);
    else server.listen(0, '127.0.0.1', resolve);
  });
  toClose.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  const { port } = path ? { port: 0 } : (server.address() as AddressInfo);
  return { host: '127.0.0.1', port, sockets, accepted: () => accepted };
}

/** A server that answers connections as told. */
export function tcpServer(onSocket: (socket: Socket) => void, path?: string): Promise<Listening> {
  const server = createServer({ noDelay: true }, (socket) => {
    onSocket(socket);
    // Who does not read never learns that the other end has gone.
    if (socket.readableFlowing === null) socket.resume();
  });
  return listening(server, path);
}

/** A port where nobody listens. */
export async function unusedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** For what other processes and the kernel do, which no virtual clock moves. */
export async function until(condition: () => boolean, timeoutMillis = 5_000): Promise<void> {
  const deadline = performance.now() + timeoutMillis;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMillis} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

const countSockets = () =>
  process.getActiveResourcesInfo().filter((name) => /^(TCPSocket|Pipe)Wrap$/.test(name)).length;
// The test runner's own.
const others = countSockets();

/** Sockets that keep this process alive, both ends of a connection within it; listening ones aside. */
export const openSockets = (): number => countSockets() - others;
