// The process that is killed: one run of a lifecycle over directories, by the time of day that it is told.
import { writeFileSync, writeSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { systemClock } from '@otel-resilience/core';
import { Lifecycle } from '../../packages/tiered/src/lifecycle/lifecycle.js';
import { FileObjectStore } from '../../packages/tiered/src/object-store/file-object-store.js';
import { COLD_CLASS, DAY_AGES } from './day-stores.js';

export interface LifecycleJob {
  readonly warm: string;
  readonly cold: string;
  readonly wallMillis: number;
  /** Where the report goes, if it comes to that. */
  readonly report: string;
  readonly kill?: { readonly by: 'parent'; readonly delayMillis: number };
}

/** Started ahead of its time: it waits for what it is to do. */
const job = JSON.parse((await text(process.stdin)) || 'null') as LifecycleJob | null;
if (job) {
  const clock = { ...systemClock, wallTime: () => job.wallMillis };
  const store = (directory: string) => new FileObjectStore({ directory, clock });
  const lifecycle = new Lifecycle({
    warm: store(job.warm),
    cold: store(job.cold),
    ...DAY_AGES,
    coldStorageClass: COLD_CLASS,
    clock,
  });
  writeSync(1, '.');
  writeFileSync(job.report, JSON.stringify(await lifecycle.run()));
}
