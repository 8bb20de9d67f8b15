import type { NodeSDK } from '@opentelemetry/sdk-node';
import type { Shop } from './shop.js';

export interface StopReport {
  readonly shutdownMillis: number;
  readonly shutdownError: string | undefined;
}

/** What a SIGTERM would do: stop accepting, finish the requests, shut the SDK down. */
export async function stopApplication(shop: Shop, sdk: NodeSDK): Promise<StopReport> {
  await shop.close();
  const startedAt = performance.now();
  const shutdownError = await sdk.shutdown().then(
    () => undefined,
    (error: unknown) => String(error),
  );
  return { shutdownMillis: performance.now() - startedAt, shutdownError };
}
