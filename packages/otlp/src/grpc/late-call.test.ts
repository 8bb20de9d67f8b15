import { createServer } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { failureOf, request, shutdownAll, transportTo } from './transport.test-support.js';

afterEach(shutdownAll);

it('a call that comes while an attempt to connect is about to fail makes one of its own', async () => {
  let connections = 0;
  // Accepts, and never says a word of TLS: an attempt that lasts until its timeout.
  const server = createServer((socket) => {
    connections++;
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  // Without jitter, so that a back-off is over when the attempt is.
  const transport = transportTo(port, { secure: true, connectTimeoutMillis: 150, random: () => 0 });

  const first = failureOf(transport.send(request()));
  await new Promise((resolve) => setTimeout(resolve, 100));
  const second = failureOf(transport.send(request()));
  expect(await first).toMatchObject({ code: 'ETIMEDOUT' });
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(connections).toBe(2);
  expect(await second).toMatchObject({ code: 'ETIMEDOUT' });
  expect(connections).toBe(2);
  server.close();
});
