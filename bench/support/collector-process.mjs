// A collector: a receiver that counts unique spans, with or without a proxy in front that can cut it off.
// Started with `{ protocols, proxied }`; several receivers share the process, since one at a time is under load.
import { CountingReceiver, FaultProxy } from '@otel-resilience/testing';
import { answer, startArguments } from './processes.mjs';

const { protocols, proxied = false, requestLog = 1_000 } = startArguments();
const doors = await Promise.all(protocols.map(open));

async function open(protocol) {
  const receiver = new CountingReceiver({ protocol, maxLoggedRequests: requestLog });
  await receiver.start();
  if (!proxied) return { receiver, url: receiver.tracesUrl };
  const proxy = new FaultProxy({ upstream: receiver });
  await proxy.start();
  return { receiver, proxy, url: receiver.tracesUrl.replace(receiver.url, proxy.url) };
}

answer({
  urls: () => doors.map(({ url }) => url),
  snapshot: (door) => doors[door].receiver.snapshot(),
  clear: (door) => doors[door].receiver.clear(),
  /** How the collector is away: `refuse` or `blackHole`. */
  leave: (door, how) =>
    how === 'refuse' ? doors[door].proxy.refuse() : doors[door].proxy.blackHole({ afterwards: 'silent' }),
  /** Resolves with the moment from which it can be reached. */
  async comeBack(door) {
    await doors[door].proxy.heal();
    return performance.now();
  },
  /** How long after `since` the first request with spans was taken, in milliseconds; undefined: none has been, yet. */
  firstSuccessAfter(door, since) {
    const taken = ({ at, spanCount, answer }) => at >= since && spanCount > 0 && answer.kind === 'success';
    const first = doors[door].receiver.log.find(taken);
    return first && first.at - since;
  },
});
