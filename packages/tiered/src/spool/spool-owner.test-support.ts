import { SpanBatch } from '@otel-resilience/core';
import { fakeSpans } from '@otel-resilience/testing';
import { Spool } from './disk-spool.js';

/** A process that appends so many spans, says so, and lives on until it is killed. */
async function own(directory: string, spans: number): Promise<void> {
  const spool = new Spool({ directory, fsync: 'always' });
  const { stored } = await spool.append(SpanBatch.fromSpans(fakeSpans(spans)));
  process.send?.({ directory: spool.status().directory, stored });
  setInterval(() => {}, 1_000);
}

const [directory, spans] = process.argv.slice(2);
if (directory) void own(directory, Number(spans));
