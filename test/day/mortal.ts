/** Something that goes on until it is killed: then nothing it does ever ends. */
export class Mortal {
  operations = 0;
  private killAt = Number.POSITIVE_INFINITY;
  private isDead = false;
  private onDeath: () => void = () => {};

  /** Counts one more operation. Does not end when it was one too many; `die` is called at that moment. */
  async step(die: () => void = () => {}): Promise<void> {
    if (this.isDead) return new Promise(() => {});
    if (++this.operations < this.killAt) return;
    this.isDead = true;
    die();
    this.onDeath();
    return new Promise(() => {});
  }

  /** Resolves with what the work gives, or with `undefined` when it was killed at that operation. */
  async live<T>(work: () => Promise<T>, killAt: number | undefined): Promise<T | undefined> {
    const death = new Promise<undefined>((resolve) => {
      this.onDeath = () => resolve(undefined);
    });
    this.operations = 0;
    this.killAt = killAt ?? Number.POSITIVE_INFINITY;
    return Promise.race([work(), death]);
  }
}
