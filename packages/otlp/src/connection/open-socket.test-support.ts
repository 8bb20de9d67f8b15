import { mkdtempSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls';
import { systemClock } from '@otel-resilience/core';
import type { Target, TlsSettings } from '../transport-options.js';
import { type OpenSocketOptions, openSocket } from './open-socket.js';
import {
  closeAll,
  fixture,
  fixturePath,
  type Listening,
  listening,
  openSockets,
  until,
} from './servers.test-support.js';

const opened: Socket[] = [];
const folders: string[] = [];

/** Ends what a test has opened, and fails when a socket is left. */
export async function cleanUp(): Promise<void> {
  for (const socket of opened.splice(0)) socket.destroy();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
  await closeAll();
  await until(() => openSockets() === 0, 1_000);
}

/** A path in a new folder. */
export function scratchPath(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'open-socket-'));
  folders.push(folder);
  return join(folder, name);
}

export async function open(target: Target, options: Partial<OpenSocketOptions> = {}): Promise<Socket> {
  const { signal } = new AbortController();
  const socket = await openSocket(target, { connectTimeoutMillis: 2_000, signal, clock: systemClock, ...options });
  opened.push(socket);
  return socket;
}

/** What opening rejects with. */
export async function failure(
  target: Target,
  options: Partial<OpenSocketOptions> = {},
): Promise<Error & { code?: unknown }> {
  const result = await open(target, options).catch((error) => error);
  if (result instanceof Error) return result;
  throw new Error('connected');
}

export const echo = (socket: Socket): Socket => socket.pipe(socket);

/** Whether bytes go there and come back. */
export async function echoes(socket: Socket): Promise<boolean> {
  socket.write('ping');
  return (await firstBytes(socket)) === 'ping';
}

export const firstBytes = (socket: Socket): Promise<string> =>
  new Promise((resolve) => socket.once('data', (bytes: Buffer) => resolve(String(bytes))));

export function tlsServer(options: TlsOptions = {}, onSocket: (socket: TLSSocket) => void = echo): Promise<Listening> {
  const server = createServer({ cert: fixture('server.pem'), key: fixture('server-key.pem'), ...options });
  server.on('secureConnection', (socket) => {
    socket.on('error', () => {});
    onSocket(socket);
  });
  return listening(server);
}

export const CA = { ca: [{ file: fixturePath('ca.pem') }] } satisfies TlsSettings;
export const CLIENT = {
  ...CA,
  cert: { file: fixturePath('client.pem') },
  key: { file: fixturePath('client-key.pem') },
} satisfies TlsSettings;
