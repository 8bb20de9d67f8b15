import { Lifecycle } from '@otel-resilience/tiered';
import { runInSteps } from '../../packages/tiered/src/lifecycle/lifecycle-world.test-support.js';
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
  const moveBlindly: MoveStep = async ({ from, to, entry: { key }, storageClass, ...call }) => {
    const bytes = await from.get(key, { ...call, maxBytes: 2 ** 30 });
    await from.remove(key, call);
    await to.put(key, [bytes], { ...call, storageClass });
  };
  const run = () => runInSteps(new Lifecycle(options), [moveBlindly, copyIndex, removeIndex]);
  return { run };
};
