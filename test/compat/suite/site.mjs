import { CountingReceiver, FaultProxy } from '@otel-resilience/testing';

/** A collector behind a proxy that can take it away; closed when the test `t` is over. */
export async function openSite(t, { protocol = 'grpc', ...options } = {}) {
  const receiver = new CountingReceiver({ protocol, ...options });
  await receiver.start();
  t.after(() => receiver.stop());
  const proxy = new FaultProxy({ upstream: { host: receiver.host, port: receiver.port } });
  await proxy.start();
  t.after(() => proxy.stop());
  return { receiver, proxy, url: proxy.url };
}

/** How many of the spans none of the sites has received. */
export function missing(keys, ...sites) {
  return keys.filter((key) => !sites.some(({ receiver }) => receiver.spanIds.has(key))).length;
}
