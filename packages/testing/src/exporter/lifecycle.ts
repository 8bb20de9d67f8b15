/** How `forceFlush` and `shutdown` of a scripted exporter answer. */
export type LifecycleAnswer = 'resolve' | 'reject' | 'throw' | 'never';

export const LIFECYCLE = ['resolve', 'reject', 'throw', 'never'] as const;

/** Throws synchronously for `throw`. */
export function lifecycle(answer: LifecycleAnswer, method: string): Promise<void> {
  switch (answer) {
    case 'resolve':
      return Promise.resolve();
    case 'reject':
      return Promise.reject(new Error(`scripted: ${method} rejects`));
    case 'throw':
      throw new Error(`scripted: ${method} throws`);
    case 'never':
      return new Promise(() => {});
  }
}
