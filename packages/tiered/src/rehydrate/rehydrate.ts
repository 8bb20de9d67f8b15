import { suppressTracing } from '@otel-resilience/core';
import { type RehydrateOptions, readRehydrateOptions } from './rehydrate-options.js';
import type { RehydrateReport } from './rehydrate-report.js';
import { Rehydration } from './rehydration.js';

/**
 * Sends archived spans to any exporter, at a limited rate.
 *
 *     const report = await rehydrate({
 *       from: [warm, cold],
 *       to: new OtlpSpanExporter({ url: 'http://localhost:4317' }),
 *       select: { services: ['checkout'], fromMillis, toMillis },
 *     });
 *
 * Objects are found by their keys and indexes first, those in an archive class asked for at once; what can be read is
 * sent meanwhile, hour by hour, one object in memory at a time, and what has been restored as it comes. An object that is
 * damaged, or larger than declared, is reported and the others sent. Of a span that is in several objects the first is sent.
 *
 * What `to` fails at is tried again after 0.25, 0.5 … 10 s, or as long as it asks for; what it refuses for good (`permanent`,
 * or a part of a request) is rejected. After ten failures in a row, or ten requests of which all was rejected, the run ends.
 *
 * Never rejects but with a `ConfigurationError`, at once. It may be repeated: delivery is at least once, and the report's
 * `resumeFromMillis` says from when on something is left.
 */
export async function rehydrate(options: RehydrateOptions): Promise<RehydrateReport> {
  const read = readRehydrateOptions(options);
  return suppressTracing(() => new Rehydration(read).run());
}
