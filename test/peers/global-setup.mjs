import { ensureCollector } from './build-collector.mjs';
import { ensureOtlpDecoder } from './build-otlp-decoder.mjs';
import { ensureMoto } from './ensure-moto.mjs';

/** Looks for every peer once, before the first test; `peer.ts` reads what was found. */
export default async function setup({ provide }) {
  provide('collector', await ensureCollector());
  provide('otlpDecoder', await ensureOtlpDecoder());
  provide('s3', await ensureMoto());
}
