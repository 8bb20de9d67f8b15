import type { AddressInfo, Server, Socket } from 'node:net';

const ATTEMPTS = 20;
const LOWEST_PORT = 10_000;
// Linux gives outgoing connections 32768 to 60999, others the range from 49152.
const HIGHEST_PORT = 32_000;

/**
 * Listens on `port`, or for 0 on a free port below the range from which systems take the ports of outgoing
 * connections. So nobody else gets it while its owner is stopped or refuses, and no client that tries it again and
 * again ends up connected to itself. Resolves with the port, rejects when it is taken.
 */
export async function listenOn(
  server: Server,
  port: number,
  host: string,
  random: () => number = Math.random,
): Promise<number> {
  for (let attempt = 0; port === 0 && attempt < ATTEMPTS; attempt++) {
    try {
      return await listen(server, LOWEST_PORT + Math.floor(random() * (HIGHEST_PORT - LOWEST_PORT)), host);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
  }
  return listen(server, port, host);
}

function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error) => {
      server.off('listening', settle);
      server.off('error', settle);
      if (error) {
        reject(error);
        return;
      }
      server.on('error', () => {}); // one failed accept is no reason to end the process
      resolve((server.address() as AddressInfo).port);
    };
    server.on('listening', settle);
    server.on('error', settle);
    server.listen(port, host);
  });
}

/** `http://host:port`, with an IPv6 address in brackets. */
export const urlOf = ({ host, port }: { readonly host: string; readonly port: number }): string =>
  `http://${host.includes(':') ? `[${host}]` : host}:${port}`;

/** Stops listening; resolves when the last connection is gone. A server that does not listen is closed already. */
export function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

/** Adds every socket to the set until it closes. */
export function track(sockets: Set<Socket>, socket: Socket): void {
  sockets.add(socket);
  socket.once('close', () => sockets.delete(socket));
  socket.on('error', () => {}); // a reset is no news here
}
