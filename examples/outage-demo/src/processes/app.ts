import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { PipelineName } from '../scenario.js';
import { answerParent, outliveParent } from './answer-parent.js';
import { LedgerWatch } from './ledger-watch.js';
import { createPipeline } from './pipelines.js';
import { openShop } from './shop.js';
import { stopApplication } from './stop-application.js';

/** The application: a shop under NodeSDK. Its arguments: the pipeline's name, and the URLs it exports to. */
const [name, ...urls] = process.argv.slice(2);
const pipeline = createPipeline(name as PipelineName, urls);
pipeline.sdk.start();
const shop = await openShop();

const LOOP_RESOLUTION_MILLIS = 10;
const loopDelay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MILLIS });
const watch = pipeline.status && new LedgerWatch(pipeline.status);
let cpuAtStart = process.cpuUsage();

const methods = {
  port: () => shop.port,
  /** From here on CPU and event loop are measured. */
  measure: () => {
    cpuAtStart = process.cpuUsage();
    loopDelay.enable();
  },
  status: () => watch?.view(),
  /** Then the process ends when nothing keeps it alive. */
  stop: async () => {
    loopDelay.disable();
    const report = await stopApplication(shop, pipeline.sdk);
    const { user, system } = process.cpuUsage(cpuAtStart);
    outliveParent();
    return {
      cpuMicros: user + system,
      // The monitor counts from one tick to the next, which is never less than its resolution.
      maxLoopDelayMillis: Math.max(0, loopDelay.max / 1e6 - LOOP_RESOLUTION_MILLIS),
      ...report,
      ledger: watch?.end(),
    };
  },
};

export type AppMethods = typeof methods;
answerParent(methods);
