/**
 * Attributes of spans and resources may be getters, which may do anything: end spans, flush, shut down. While something
 * works on the queue nothing else does, and spans that end meanwhile come to it afterwards.
 */
export class Turns {
  /** Set back by whoever has begun the turn, in a `finally`: a call might find no stack left. It never outlasts synchronous code. */
  isTaken = false;
  private isCatchingUp = false;
  private readonly deferred: Array<() => void> = [];
  /** How many have been deferred since nothing was going on. */
  private deferrals = 0;

  /** To be called after a turn: what was deferred is done before this returns. */
  ended(): void {
    if (this.deferred.length > 0 && !this.isCatchingUp) this.catchUp();
  }

  /**
   * `work`, which must not throw, is done when the present turn has ended. `false` when that is too much: reading one
   * span must not end others for ever.
   */
  defer(work: () => void): boolean {
    if (this.deferrals >= MAX_DEFERRALS) return false;
    this.deferrals++;
    this.deferred.push(work);
    return true;
  }

  private catchUp(): void {
    this.isCatchingUp = true;
    try {
      for (let work = this.deferred.shift(); work; work = this.deferred.shift()) work();
    } finally {
      this.isCatchingUp = false;
      this.deferrals = 0;
    }
  }
}

const MAX_DEFERRALS = 1_024;
