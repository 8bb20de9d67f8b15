import { ensureCollector } from './build-collector.mjs';

/** Looks for every peer once, before the first test; `peer.ts` reads what was found. */
export default async function setup({ provide }) {
  provide('collector', await ensureCollector());
}
