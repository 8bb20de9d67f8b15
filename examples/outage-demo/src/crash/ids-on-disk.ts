import { spanKey } from '@otel-resilience/testing';
import { Spool } from '@otel-resilience/tiered';

/** `spanKey` of every span that a dead process has left in its spool; all of it stays there. */
export async function idsOnDisk(directory: string): Promise<Set<string>> {
  const spool = new Spool({ directory });
  try {
    const keys = new Set<string>();
    for (let lease = await spool.lease(); lease; lease = await spool.lease()) {
      for (const span of lease.batch.spans()) keys.add(spanKey(span.spanContext()));
    }
    return keys;
  } finally {
    await spool.shutdown();
  }
}
