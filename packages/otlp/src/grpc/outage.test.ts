import { FaultProxy, VirtualClock } from '@otel-resilience/testing';
import { afterAll, describe, expect, it } from 'vitest';
import { closeAll } from '../connection/servers.test-support.js';
import { RawServer } from './frames.test-support.js';
import { request, shutdownAll, transportTo } from './transport.test-support.js';

const proxies: FaultProxy[] = [];

afterAll(async () => {
  await shutdownAll();
  for (const proxy of proxies) await proxy.stop();
  await closeAll();
});

const STEP_MILLIS = 50;
const MAX_IN_FLIGHT = 4;

/** An exporter that sends every 500 ms, as a breaker's probes do, through a proxy that breaks and heals. */
async function exporting() {
  const clock = new VirtualClock();
  const server = await RawServer.start({ onRequest: (stream) => stream.accept() });
  const proxy = new FaultProxy({ upstream: { host: '127.0.0.1', port: server.port } });
  proxies.push(proxy);
  await proxy.start();
  const transport = transportTo(proxy.port, { clock });
  let inFlight = 0;
  let lastSuccessAt = Number.NEGATIVE_INFINITY;
  let sent = 0;
  const send = async () => {
    inFlight++;
    sent++;
    const succeeded = await transport.send(request({ clock })).then(
      () => true,
      () => false,
    );
    inFlight--;
    if (succeeded) lastSuccessAt = clock.now();
  };
  /** Virtual time goes on in steps, with real time between them for what the kernel does. */
  const goOn = async (millis: number) => {
    for (let gone = 0; gone < millis; gone += STEP_MILLIS) {
      if (clock.now() % 500 === 0 && inFlight < MAX_IN_FLIGHT) void send();
      await new Promise((resolve) => setTimeout(resolve, 1));
      await clock.advance(STEP_MILLIS);
    }
  };
  /** How long it takes from `since` to the first success after it. */
  const recovery = async (since: number) => {
    while (lastSuccessAt <= since && clock.now() < since + 20_000) await goOn(STEP_MILLIS);
    return lastSuccessAt - since;
  };
  return { clock, proxy, transport, goOn, recovery, sent: () => sent };
}

describe('after an outage of 15 s the first success comes within a second', () => {
  it.concurrent.each<[string, (proxy: FaultProxy) => Promise<void>]>([
    ['in which connections are refused', (proxy) => proxy.refuse()],
    ['in which all is swallowed, and connections are reset at last', (proxy) => proxy.blackHole()],
    [
      'in which all is swallowed, and old connections stay silent',
      (proxy) => proxy.blackHole({ afterwards: 'silent' }),
    ],
    ['in which nothing passes', (proxy) => proxy.stall()],
  ])('%s', async (_, breakIt) => {
    const { clock, proxy, transport, goOn, recovery, sent } = await exporting();
    // The outage ends at different moments between two probes.
    for (const offset of [0, 200, 450]) {
      await goOn(2_000);
      await breakIt(proxy);
      await goOn(15_000 + offset);
      await proxy.heal();
      expect(await recovery(clock.now())).toBeLessThanOrEqual(1_000);
    }
    expect(sent()).toBeGreaterThan(30);
    await transport.shutdown();
    expect(clock.pendingTimers).toBe(0);
  });
});
