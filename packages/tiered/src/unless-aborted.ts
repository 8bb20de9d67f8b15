/** What `work` resolves with, unless the signal aborts first: then it rejects with its reason, whatever `work` goes on doing. */
export function unlessAborted<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  if (signal.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    const done = () => signal.removeEventListener('abort', onAbort);
    Promise.resolve().then(work).then(resolve, reject).then(done);
  });
}
