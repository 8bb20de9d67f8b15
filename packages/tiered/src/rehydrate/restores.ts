import { type Clock, describeError, toError } from '@otel-resilience/core';
import type { ObjectHead, RestoreOptions } from '../object-store/object-store.js';
import { isNotFound, storeErrorCode } from '../object-store/object-store-error.js';
import { unlessAborted } from '../unless-aborted.js';
import type { Copy, FoundObject } from './found-object.js';

export interface RestoresOptions {
  readonly restore: Pick<RestoreOptions, 'days' | 'tier'>;
  readonly timeoutMillis: number;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** Told of what is not waited for any more. */
  readonly onGivenUp: (object: FoundObject, error: Error) => void;
}

/** What is known of an object that is, or was, being restored. */
interface Wait {
  /** The copy that is being restored. */
  copy: Copy | undefined;
  asks: number;
  /** When that was granted. */
  since: number;
  /** Why it was refused last time. */
  refusal: Error | undefined;
}

/** A copy that has expired before it was read, or a request that was refused, is repeated so often. */
const MAX_ASKS = 3;
/** A store that denies so many in a row, and has never granted one, denies all. */
const MAX_DENIALS_IN_A_ROW = 10;
/** A round of looks ends after so many in a row that are not ready: restores come about in the order they were asked for. */
const MAX_UNREADY_IN_A_ROW = 100;

/** Asks for restores, and looks for what has become of them. */
export class Restores {
  private readonly options: RestoresOptions;
  /** In the order in which they are looked at. */
  private readonly waiting = new Set<FoundObject>();
  private readonly waits = new WeakMap<FoundObject, Wait>();
  private waitingWeight = 0;
  private isGranted = false;
  private deniedInARow = 0;
  private lastDenial: Error | undefined;

  constructor(options: RestoresOptions) {
    this.options = options;
  }

  get size(): number {
    return this.waiting.size;
  }

  /** Of all that wait. */
  get weight(): number {
    return this.waitingWeight;
  }

  /** Resolves to whether it can be read at once; otherwise it waits, or has been given up. */
  async ask(object: FoundObject): Promise<boolean> {
    const { signal, clock, restore } = this.options;
    const wait = this.waits.get(object) ?? { copy: undefined, asks: 0, since: clock.now(), refusal: undefined };
    this.waits.set(object, wait);
    if (wait.asks >= MAX_ASKS) {
      return this.giveUp(object, wait.refusal ?? new Error(`restored ${MAX_ASKS} times, and never to be read in time`));
    }
    if (this.lastDenial && !this.isGranted && this.deniedInARow >= MAX_DENIALS_IN_A_ROW)
      return this.giveUp(object, this.lastDenial);
    wait.asks++;
    let error: unknown;
    const archived = object.copies.filter(({ isArchived }) => isArchived);
    // Others may be in the archive tiers of INTELLIGENT_TIERING.
    for (const copy of archived.length > 0 ? archived : object.copies) {
      try {
        const request = () => copy.source.store.requestRestore(object.key, { ...restore, signal });
        const { state } = await unlessAborted(signal, request);
        this.isGranted = true;
        wait.copy = copy;
        wait.since = clock.now();
        wait.refusal = undefined;
        return state === 'readable' || state === 'restored' ? this.letGo(object) : this.wait(object);
      } catch (thrown) {
        if (signal.aborted) throw thrown;
        if (error === undefined || isNotFound(error)) error = thrown;
      }
    }
    // It is gone: reading it tells.
    if (isNotFound(error)) return this.letGo(object);
    return this.refused(object, wait, error);
  }

  /** What can be read by now, one after the other; those that are not ready go on waiting, for their time. */
  async *ready(): AsyncGenerator<FoundObject> {
    let unready = 0;
    for (const object of [...this.waiting]) {
      if (unready >= MAX_UNREADY_IN_A_ROW) return;
      if (await this.isReady(object)) {
        unready = 0;
        yield object;
      } else unready++;
    }
  }

  /** If not, it waits at the end of the line, or has been given up. */
  private async isReady(object: FoundObject): Promise<boolean> {
    const { signal, clock, timeoutMillis } = this.options;
    const wait = this.waits.get(object)!;
    if (!wait.copy) return this.ask(object);
    const { store } = wait.copy.source;
    let error: Error | undefined;
    try {
      const head = await unlessAborted(signal, () => store.head(object.key, { signal }));
      const state = stateOf(head);
      if (state === 'readable') return this.letGo(object);
      if (state === 'archived') return await this.ask(object);
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      error = toError(thrown);
    }
    if (clock.now() - wait.since >= timeoutMillis) {
      const why = error ? `: ${describeError(error)}` : '';
      return this.giveUp(object, new Error(`not restored within ${Math.round(timeoutMillis / 1_000)} s${why}`));
    }
    return this.wait(object);
  }

  private refused(object: FoundObject, wait: Wait, thrown: unknown): boolean {
    const error = new Error(`the restore was refused: ${describeError(toError(thrown))}`, { cause: thrown });
    wait.copy = undefined;
    wait.refusal = error;
    if (isDenial(thrown) && !this.isGranted) {
      this.lastDenial = error;
      this.deniedInARow++;
    }
    return isDenial(thrown) || wait.asks >= MAX_ASKS ? this.giveUp(object, error) : this.wait(object);
  }

  /** At the end of the line. */
  private wait(object: FoundObject): false {
    this.letGo(object);
    this.waiting.add(object);
    this.waitingWeight += object.weight;
    return false;
  }

  private letGo(object: FoundObject): true {
    if (this.waiting.delete(object)) this.waitingWeight -= object.weight;
    return true;
  }

  private giveUp(object: FoundObject, error: Error): false {
    this.letGo(object);
    this.options.onGivenUp(object, error);
    return false;
  }
}

/** Whether it is no use to ask again. */
function isDenial(thrown: unknown): boolean {
  const { failure } = thrown as { failure?: unknown };
  return failure === 'permanent' || failure === 'shutdown' || storeErrorCode(thrown) === 'DENIED';
}

/** Of one that is gone, reading tells. */
function stateOf(head: ObjectHead | undefined): 'readable' | 'restoring' | 'archived' {
  const state = head?.restore.state ?? 'readable';
  return state === 'restored' ? 'readable' : state;
}
