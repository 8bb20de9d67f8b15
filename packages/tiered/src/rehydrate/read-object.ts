import type { Clock, SpanBatch } from '@otel-resilience/core';
import { isDamaged } from '../object-store/archive-reader.js';
import { isAnswer, isNotFound, storeErrorCode } from '../object-store/object-store-error.js';
import { unlessAborted } from '../unless-aborted.js';
import type { Copy, FoundObject, Source } from './found-object.js';
import type { RehydrateProblem } from './rehydrate-report.js';

export interface ReadObjectOptions {
  readonly sources: readonly Source[];
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

export interface ReadFailure {
  readonly state: RehydrateProblem['state'];
  readonly error: unknown;
  /** Rather than that it has answered. */
  readonly isStoreDown: boolean;
}

export type ReadObject = { readonly state: 'read'; readonly batch: SpanBatch } | ReadFailure;

/** For an object, retries included. */
const READ_TIMEOUT_MILLIS = 180_000;

/**
 * All spans of an object, from the first of its copies that can be read and is what was archived. Where they are gone the
 * other sources are asked: a lifecycle may have moved it since it was found. Rejects when the signal aborts, and never else.
 */
export async function readObject(object: FoundObject, options: ReadObjectOptions): Promise<ReadObject> {
  const { sources, signal, clock } = options;
  const failures: Array<Failure> = [];
  const tryCopy = async ({ source, archive }: Pick<Copy, 'source' | 'archive'>): Promise<SpanBatch | undefined> => {
    try {
      const call = { signal, deadline: clock.now() + READ_TIMEOUT_MILLIS };
      return await unlessAborted(signal, () => source.reader.read(archive, call));
    } catch (error) {
      if (signal.aborted) throw error;
      failures.push({ error, state: stateOf(error) });
      return undefined;
    }
  };
  for (const copy of object.copies) {
    const batch = await tryCopy(copy);
    if (batch) return { state: 'read', batch };
  }
  if (failures.every(({ error }) => isNotFound(error))) {
    const { archive } = object.copies[0]!;
    const others = sources.filter((source) => object.copies.every((copy) => copy.source !== source));
    for (const source of others) {
      const batch = await tryCopy({ source, archive });
      if (batch) return { state: 'read', batch };
      // There it is, and may be asked for.
      if (failures.at(-1)!.state === 'archived') object.add({ source, archive, isArchived: true });
    }
  }
  // What can be restored may be whole; and what could not be read now is not known to be damaged.
  const worst = pick(failures, 'archived') ?? pick(failures, 'failed') ?? pick(failures, 'damaged')!;
  return { ...worst, isStoreDown: worst.state === 'failed' && !isAnswer(worst.error) };
}

interface Failure {
  readonly state: RehydrateProblem['state'];
  readonly error: unknown;
}

function stateOf(error: unknown): RehydrateProblem['state'] {
  if (storeErrorCode(error) === 'ARCHIVED') return 'archived';
  return isDamaged(error) ? 'damaged' : 'failed';
}

/** Of several that failed, one that says more than that there is nothing. */
const pick = (failures: readonly Failure[], state: Failure['state']): Failure | undefined => {
  const those = failures.filter((failure) => failure.state === state);
  return those.find(({ error }) => !isNotFound(error)) ?? those[0];
};
