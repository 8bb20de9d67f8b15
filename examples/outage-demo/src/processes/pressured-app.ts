import { TROUBLES } from '../pressure/scenario.js';
import { answerParent, outliveParent } from './answer-parent.js';
import { LedgerWatch } from './ledger-watch.js';
import { createPressuredPipeline } from './pressured-pipeline.js';
import { type OrderRecord, openShop } from './shop.js';
import { stopApplication } from './stop-application.js';

/** The same shop under pressure. It remembers every order, sampled or not. Its arguments: the URLs it exports to. */
const pipeline = createPressuredPipeline(process.argv.slice(2));
pipeline.sdk.start();
const orders: OrderRecord[] = [];
const shop = await openShop({
  ...TROUBLES,
  level: () => pipeline.level(),
  onOrder: (order) => orders.push(order),
});
const watch = new LedgerWatch(() => pipeline.status());

const methods = {
  port: () => shop.port,
  status: () => ({ ...watch.view(), ...pipeline.degradation() }),
  /** What a synchronous piece of work does, such as a large JSON.parse. */
  block: (millis: number) => {
    const until = performance.now() + millis;
    while (performance.now() < until);
  },
  /** Then the process ends when nothing keeps it alive. */
  stop: async () => {
    const transitions = pipeline.transitions();
    const report = await stopApplication(shop, pipeline.sdk);
    outliveParent();
    return { ...report, ledger: watch.end(), transitions, orders };
  },
};

export type PressuredAppMethods = typeof methods;
answerParent(methods);
