// Programs of a bench that run in processes of their own, and how they are asked.
import { fork } from 'node:child_process';

/**
 * Starts `support/<name>` as a process of its own; resolves when it has called `answer`. `call(method, ...args)` resolves
 * with what its method returns. Whatever happens here, it ends with this process.
 */
export async function startProcess(name, args = {}) {
  const child = fork(new URL(name, import.meta.url), [JSON.stringify(args)], {
    env: withoutOtelVariables(process.env),
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const waiting = new Map();
  let calls = 0;
  const waitFor = (id) => new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
  child.on('message', ({ id, result, error }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) resolve(result);
    else reject(new Error(`${name}: ${error}`));
  });
  const exited = new Promise((resolve) => {
    child.on('exit', (code, signal) => {
      for (const { reject } of waiting.values()) reject(new Error(`${name} has ended: ${signal ?? code}`));
      resolve();
    });
  });
  await waitFor('started');
  return {
    call(method, ...parameters) {
      const id = calls++;
      child.send({ id, method, parameters });
      return waitFor(id);
    },
    async stop() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** What the process was started with. */
export const startArguments = () => JSON.parse(process.argv[2]);

/** In the process: from now on its methods can be called. */
export function answer(methods) {
  process.on('disconnect', () => process.exit());
  process.on('message', async ({ id, method, parameters }) => {
    try {
      process.send({ id, result: await methods[method](...parameters) });
    } catch (thrown) {
      process.send({ id, error: thrown?.stack ?? String(thrown) });
    }
  });
  process.send({ id: 'started' });
}

/** Nothing in the environment may configure one contender. */
function withoutOtelVariables(environment) {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith('OTEL_')));
}
