/** What a process of the demo can be asked. Arguments and results are plain data. */
// biome-ignore lint/suspicious/noExplicitAny: any function with any arguments
export type Methods = { readonly [name: string]: (...args: any[]) => unknown };

export interface Request {
  readonly id: number;
  readonly method: string;
  readonly args: readonly unknown[];
}

export type Reply = { readonly id: number } & ({ readonly result: unknown } | { readonly error: string });

/**
 * Answers the parent's calls, and says that it is ready. The process ends with its parent, and only then: Ctrl-C
 * reaches the whole process group, and the parent decides what follows.
 */
export function answerParent(methods: Methods): void {
  process.on('SIGINT', () => {});
  process.on('disconnect', endWithParent);
  process.on('message', async ({ id, method, args }: Request) => {
    try {
      reply({ id, result: await methods[method]!(...args) });
    } catch (thrown) {
      reply({ id, error: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown) });
    }
  });
  reply({ id: 0, result: 'ready' });
}

/** From now on the process ends when nothing keeps it alive, so that what is left open shows. */
export function outliveParent(): void {
  process.off('disconnect', endWithParent);
  process.on('SIGINT', () => process.exit());
}

const endWithParent = () => process.exit();

function reply(message: Reply): void {
  if (process.connected) process.send!(message);
}
