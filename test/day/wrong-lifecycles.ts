import { Lifecycle } from '@otel-resilience/tiered';
import type { ReadLifecycleOptions } from '../../packages/tiered/src/lifecycle/lifecycle-options.js';
import { LifecycleRun } from '../../packages/tiered/src/lifecycle/lifecycle-run.js';
import { copyIndex, type MoveStep, removeIndex } from '../../packages/tiered/src/lifecycle/steps.js';
import type { MakeLifecycle } from './day-stores.js';

/** Takes everything an hour later than it should. */
export const anHourLate: MakeLifecycle = (options) =>
  new Lifecycle({ ...options, coldAfterMillis: options.coldAfterMillis! + 3_600_000 });

/** Deletes everything an hour before it should. */
export const anHourEarly: MakeLifecycle = (options) =>
  new Lifecycle({ ...options, deleteAfterMillis: options.deleteAfterMillis! - 3_600_000 });

/** Removes the source before there is a copy. */
export const removingFirst: MakeLifecycle = (options) => {
  const { options: read } = new Lifecycle(options) as unknown as { options: ReadLifecycleOptions };
  const moveBlindly: MoveStep = async ({ from, to, entry: { key }, storageClass, ...call }) => {
    const bytes = await from.get(key, { ...call, maxBytes: 2 ** 30 });
    await from.remove(key, call);
    await to.put(key, [bytes], { ...call, storageClass });
  };
  const never = new AbortController().signal;
  const run = () =>
    new LifecycleRun({
      ...read,
      dryRun: false,
      countKept: false,
      heldBackReason: undefined,
      interruption: never,
      end: never,
      onProgress: () => {},
      checkSeparate: async () => {},
      steps: [moveBlindly, copyIndex, removeIndex],
    }).run();
  return { run };
};
