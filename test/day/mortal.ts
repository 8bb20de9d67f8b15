/** Something that goes on until it is killed: then nothing it does ever ends. */
export class Mortal {
  /** What it has changed. */
  changes = 0;
  private killAt = Number.POSITIVE_INFINITY;
  private isDead = false;
  private onDeath: () => void = () => {};

  /** Awaited before and after everything that it does. */
  async look(): Promise<void> {
    if (this.isDead) return new Promise(() => {});
  }

  /** Likewise, where it changes something. Does not end when it was one change too many; `die` is called at that moment. */
  async change(die: () => void = () => {}): Promise<void> {
    if (!this.isDead && ++this.changes >= this.killAt) {
      this.isDead = true;
      die();
      this.onDeath();
    }
    return this.look();
  }

  /** Resolves with what the work gives, or with `undefined` when it was killed at that change. */
  async live<T>(work: () => Promise<T>, killAt: number | undefined): Promise<T | undefined> {
    const death = new Promise<undefined>((resolve) => {
      this.onDeath = () => resolve(undefined);
    });
    this.changes = 0;
    this.killAt = killAt ?? Number.POSITIVE_INFINITY;
    const result = await Promise.race([work(), death]);
    // Who looks at what it has left is not killed.
    this.killAt = Number.POSITIVE_INFINITY;
    return result;
  }
}
