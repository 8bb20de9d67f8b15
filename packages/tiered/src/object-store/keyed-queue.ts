/** Does what concerns the same key one after the other, and the rest at the same time. */
export class KeyedQueue {
  private readonly last = new Map<string, Promise<unknown>>();

  run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.last.get(key);
    const result = before ? before.then(work, work) : work();
    this.last.set(key, result);
    const done = () => {
      if (this.last.get(key) === result) this.last.delete(key);
    };
    result.then(done, done);
    return result;
  }
}
