import dns, { type LookupAddress, type LookupOptions } from 'node:dns';
import type { LookupFunction } from 'node:net';

type Found = readonly [address: string | LookupAddress[], family?: number];

/** What has been asked and not yet answered, by everybody in the process. */
const pending = new Map<string, Promise<Found>>();

/**
 * `dns.lookup`, but whoever asks for a name while it is being looked up waits for that answer. A lookup cannot be
 * cancelled and occupies a thread of the pool that the application's own lookups and files need; a resolver slower
 * than the connect timeout would otherwise get another one with every attempt, until no thread is left. No answer is
 * kept.
 */
export const sharedLookup: LookupFunction = (hostname, options, callback) => {
  const key = JSON.stringify([hostname, options.family, options.hints, options.all, options.verbatim, options.order]);
  let lookup = pending.get(key);
  if (!lookup) {
    lookup = look(hostname, options).finally(() => pending.delete(key));
    pending.set(key, lookup);
  }
  // By a promise, so that each callback runs in the context of who asked.
  lookup.then(
    ([address, family]) => callback(null, address, family),
    (error) => callback(error, ''),
  );
};

function look(hostname: string, options: LookupOptions): Promise<Found> {
  return new Promise((resolve, reject) => {
    dns.lookup(hostname, options, (error, address, family) => (error ? reject(error) : resolve([address, family])));
  });
}
