import { NodeSDK } from '@opentelemetry/sdk-node';
import { type ResilienceStatus, resilience } from '@otel-resilience/node';
import { answerParent, outliveParent } from './answer-parent.js';
import { LedgerWatch } from './ledger-watch.js';
import { openShop } from './shop.js';
import { stopApplication } from './stop-application.js';

/** The application of the third act. Its arguments: the spool's directory, and the URLs it exports to. */
const [directory, a, b] = process.argv.slice(2) as [string, string, string];
const r = resilience({
  endpoints: [
    { name: 'A', url: a },
    { name: 'B', url: b },
  ],
  spool: { directory },
  degradation: { monitorOnly: true },
});
const sdk = new NodeSDK({ serviceName: 'outage-demo-shop', ...r.sdk });
sdk.start();
const shop = await openShop();
const watch = new LedgerWatch(() => r.status());

export interface DiskAppReport {
  readonly balanced: boolean;
  readonly totals: ResilienceStatus['totals'];
  /** What it says that the one before has lost. */
  readonly lostToCrash: ResilienceStatus['lostToCrash'];
}

const methods = {
  port: () => shop.port,
  /** Spans that have ended, or were found, and are not sent yet. */
  waiting: () => r.status().totals.waiting,
  /** Then the process ends when nothing keeps it alive. */
  stop: async () => {
    const report = await stopApplication(shop, sdk);
    const { balanced, totals } = watch.end();
    outliveParent();
    return { ...report, balanced, totals, lostToCrash: r.status().lostToCrash };
  },
};

export type DiskAppMethods = typeof methods;
answerParent(methods);
