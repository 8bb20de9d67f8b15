import type { Endpoint } from './endpoint.js';

/**
 * Panic: so many endpoints are ejected that the few left may not bear the load, and the judgement itself is in doubt.
 * Then what those few did not take is offered to the ejected ones as a last resort, which their breakers admit once
 * per 500 ms. The healthy are asked first all the same: for spans, unlike for requests, a detour through a dead
 * endpoint costs seconds of a concurrency slot and gains nothing while somebody takes them.
 *
 * Envoy ejects at most 10 % of a cluster and panics below 50 % healthy. Collectors come in twos and threes, where any
 * one must be able to go: the cap is a half, rounded up. So up to three endpoints never panic before all are out.
 */
export function isPanic(endpoints: readonly Endpoint[], maxEjectionRatio: number): boolean {
  let ejected = 0;
  for (const endpoint of endpoints) if (endpoint.isEjected) ejected++;
  return ejected > Math.ceil(maxEjectionRatio * endpoints.length);
}
