import { Socket } from 'node:net';
import { systemClock } from '@otel-resilience/core';
import { expect, it } from 'vitest';
import { exchange } from './exchange.js';

it('a connection that is gone already is a disconnect, not a wait for ever', async () => {
  const socket = new Socket();
  socket.destroy();
  const { signal } = new AbortController();
  const request = { path: '/', headers: {}, chunks: [] };
  const exchanged = exchange(socket, request, { maxResponseBytes: 1, signal, clock: systemClock });
  await expect(exchanged).rejects.toMatchObject({ code: 'ECONNRESET' });
});
