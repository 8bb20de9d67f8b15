import { constants, setPriority } from 'node:os';
import { answerParent } from './answer-parent.js';

/** Keeps a core busy when asked to, behind everybody who has work to do. */
const SLICE_MILLIS = 20;

setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
let burning = false;

function burn(): void {
  const until = performance.now() + SLICE_MILLIS;
  while (performance.now() < until);
  if (burning) setImmediate(burn); // so that it can be told to rest
}

const methods = {
  burn: () => {
    burning = true;
    setImmediate(burn);
  },
  rest: () => {
    burning = false;
  },
};

export type BurnerMethods = typeof methods;
answerParent(methods);
