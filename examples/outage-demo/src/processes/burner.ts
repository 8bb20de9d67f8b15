import { availableParallelism, constants, setPriority } from 'node:os';
import { Worker } from 'node:worker_threads';
import { answerParent } from './answer-parent.js';

// Threads inherit it: whoever has work to do goes first.
setPriority(constants.priority.PRIORITY_BELOW_NORMAL);

const THREAD = `
  const { workerData: burning } = require('node:worker_threads');
  while (Atomics.load(burning, 0) === 1);
`;
const burning = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

/** Keeps every core busy, when asked to. */
const methods = {
  burn: () => {
    Atomics.store(burning, 0, 1);
    for (let core = 0; core < availableParallelism(); core++) new Worker(THREAD, { eval: true, workerData: burning });
  },
  rest: () => {
    Atomics.store(burning, 0, 0);
  },
};

export type BurnerMethods = typeof methods;
answerParent(methods);
