/**
 * Attributes of spans and resources may be getters, which may do anything: end spans, flush, shut down. While something
 * works on the queue nothing else does, and spans that end meanwhile come to it afterwards.
 */
export class Turns {
  private taken = false;
  private isCatchingUp = false;
  private readonly deferred: Array<() => void> = [];
  /** How many have been deferred since nothing was going on. */
  private deferrals = 0;

  /** A turn never outlasts the synchronous code that has begun it. */
  get isTaken(): boolean {
    return this.taken;
  }

  /** Whether it is the caller's turn now, who then calls `end` in a `finally`. */
  begin(): boolean {
    if (this.taken) return false;
    this.taken = true;
    return true;
  }

  /** What was deferred is done before this returns. */
  end(): void {
    this.taken = false;
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
