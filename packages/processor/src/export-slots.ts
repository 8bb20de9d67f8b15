/**
 * How many exports may be open at a time. It starts at the maximum (what the exporter bears, at most
 * `maxConcurrentExports`):
 *
 * - an export that failed, timed out or was throttled halves the limit, down to 1: a receiver in trouble is not
 *   helped by five of us;
 * - one that ended while every slot was taken raises it by 1 (additive increase, multiplicative decrease; raised
 *   only when the limit was reached, as in Vector's adaptive concurrency).
 *
 * A slot is held until its export has an outcome, so a hung exporter never has more than its share.
 */
export class ExportSlots {
  readonly max: number;
  private currentLimit: number;
  private openSlots = 0;

  constructor(max: number) {
    this.max = max;
    this.currentLimit = max;
  }

  get limit(): number {
    return this.currentLimit;
  }

  get open(): number {
    return this.openSlots;
  }

  get hasFree(): boolean {
    return this.openSlots < this.currentLimit;
  }

  acquire(): void {
    this.openSlots++;
  }

  release(): void {
    const wasFull = this.openSlots >= this.currentLimit;
    this.openSlots--;
    if (wasFull) this.currentLimit = Math.min(this.max, this.currentLimit + 1);
  }

  shrink(): void {
    this.currentLimit = Math.max(1, Math.floor(this.currentLimit / 2));
  }
}
