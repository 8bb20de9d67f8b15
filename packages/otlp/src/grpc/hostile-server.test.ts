import { constants } from 'node:http2';
import { classifyFailure } from '@otel-resilience/core';
import { VirtualClock } from '@otel-resilience/testing';
import fc from 'fast-check';
import { afterEach, expect, it } from 'vitest';
import { closeAll, until } from '../connection/servers.test-support.js';
import { framed, RawServer, type RawStream, RESPONSE, SETTING } from './frames.test-support.js';
import { request, shutdownAll, transportTo } from './transport.test-support.js';

afterEach(async () => {
  await shutdownAll();
  await closeAll();
});

/** What a server may do about one request. */
const ACTIONS: Record<string, (stream: RawStream) => unknown> = {
  accept: (stream) => stream.accept(),
  acceptAndClose: (stream) => stream.accept().connection.socket.end(),
  acceptAndLeave: (stream) => stream.accept().connection.goaway(stream.id),
  refuse: (stream) => stream.reset(constants.NGHTTP2_REFUSED_STREAM),
  breakOff: (stream) => stream.headers(RESPONSE).reset(constants.NGHTTP2_INTERNAL_ERROR),
  unavailable: (stream) => stream.headers([...RESPONSE, ['grpc-status', '14']], { endStream: true }),
  badGateway: (stream) => stream.headers([[':status', '502']]),
  halfAnAnswer: (stream) => stream.headers(RESPONSE).data(framed(Buffer.alloc(100)).subarray(0, 20)),
  silence: () => {},
  goaway: (stream) => stream.connection.goaway(Math.max(0, stream.id - 2)),
  calm: (stream) => stream.connection.goaway(stream.id, constants.NGHTTP2_ENHANCE_YOUR_CALM),
  end: (stream) => stream.connection.socket.end(),
  reset: (stream) => stream.connection.reset(),
  garbage: (stream) => stream.connection.socket.write(Buffer.alloc(64, 0xff)),
  fewer: (stream) => stream.accept().connection.settings([[SETTING.maxConcurrentStreams, 1]]),
};
const ACCEPTING = new Set(['accept', 'acceptAndClose', 'acceptAndLeave', 'fewer']);

it('whatever a server does, each call settles by its deadline, none is taken for accepted, none given up, nothing is left', async () => {
  const scenario = fc.record({
    actions: fc.array(fc.constantFrom(...Object.keys(ACTIONS)), { minLength: 1, maxLength: 20 }),
    connections: fc.integer({ min: 1, max: 3 }),
    calls: fc.integer({ min: 1, max: 12 }),
    pong: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(scenario, async ({ actions, connections, calls, pong }) => {
      const clock = new VirtualClock();
      let turn = 0;
      let acceptances = 0;
      const server = await RawServer.start({
        pong,
        onRequest: (stream) => {
          const action = actions[turn++ % actions.length]!;
          if (ACCEPTING.has(action)) acceptances++;
          ACTIONS[action]!(stream);
        },
      });
      const transport = transportTo(server.port, { clock, connections });
      let settled = 0;
      const outcomes: unknown[] = [];
      for (let call = 0; call < calls; call++) {
        const sending = transport.send(request({ clock })).then(
          () => 'accepted',
          (error) => error,
        );
        sending.then((outcome) => {
          settled++;
          outcomes.push(outcome);
        });
        await clock.advance(50);
      }
      const deadline = clock.now() + 10_000;
      while (settled < calls && clock.now() < deadline) await clock.advance(250);
      expect(settled).toBe(calls);
      const failures = outcomes.filter((outcome) => outcome !== 'accepted');
      expect(calls - failures.length).toBeLessThanOrEqual(acceptances);
      for (const error of failures) expect(classifyFailure(error).failure).toMatch(/retryable|throttled/);
      await transport.shutdown();
      expect(clock.pendingTimers).toBe(0);
      await until(() => server.openConnections === 0);
      await closeAll();
    }),
    { numRuns: 200 },
  );
});
