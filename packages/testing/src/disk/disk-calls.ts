import { diskError } from './disk-error.js';
import { type ArmedFault, DiskFaults } from './disk-faults.js';
import { type DiskOperation, type DiskOperationKind, type OperationDetails, systemCallOf } from './disk-operation.js';
import { randomInteger } from './random.js';

interface CallsOptions {
  readonly random: () => number;
  readonly onMoment: (when: 'before' | 'after', operation: DiskOperation) => void | Promise<void>;
}

// In microtasks: what nobody waits for may be overtaken by all that follows.
const SLOW_SHARE = 0.1;
const SLOW_TURNS = 100;

type LoggedOperation = { -readonly [K in keyof DiskOperation]: DiskOperation[K] };

/** Calls: logged, announced, failed. */
export class DiskCalls {
  readonly log: DiskOperation[] = [];
  readonly faults = new DiskFaults();
  private readonly random: () => number;
  private readonly onMoment: CallsOptions['onMoment'];

  constructor({ random, onMoment }: CallsOptions) {
    this.random = random;
    this.onMoment = onMoment;
  }

  /** `effect` happens at once and as a whole; `onFault` is what happens of it when it is to fail. */
  async make<T>(
    kind: DiskOperationKind,
    details: OperationDetails,
    effect: () => T,
    onFault?: (fault: ArmedFault) => void,
  ): Promise<T> {
    const operation: LoggedOperation = { index: this.log.length, kind, ...details };
    this.log.push(operation);
    await this.waitABit();
    await this.onMoment('before', operation);
    let answer: () => T;
    try {
      const fault = this.faults.take(operation);
      if (fault) {
        onFault?.(fault);
        throw diskError(fault.code, systemCallOf(kind), details.path);
      }
      const result = effect();
      answer = () => result;
    } catch (error) {
      operation.error = (error as { code?: string }).code;
      answer = () => {
        throw error;
      };
    }
    await this.onMoment('after', operation);
    await this.waitABit();
    return answer();
  }

  /** Of calls that are open at once, any may take effect first, and any may be answered first. */
  private async waitABit(): Promise<void> {
    const isSlow = this.random() < SLOW_SHARE;
    for (let turns = randomInteger(this.random, isSlow ? SLOW_TURNS : 4); turns > 0; turns--) await undefined;
  }
}
