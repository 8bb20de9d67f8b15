import { PipelineSignals } from '@otel-resilience/core';
import { DegradationController, ErrorRateTrigger, QueueTrigger } from '@otel-resilience/degradation';

/** What an application sheds, and when. */
export const signals = new PipelineSignals(); // the same that the processor and the exporters have

export const degradation = new DegradationController({
  signals,
  triggers: [
    new QueueTrigger({ signals }),
    new ErrorRateTrigger({ signals, minimumCalls: 20 }),
    {
      // One of your own: a number, and what each height of it asks for.
      name: 'orders',
      thresholds: { light: 1_000, moderate: 5_000, heavy: 20_000, emergency: Number.POSITIVE_INFINITY },
      holdForMillis: 60_000,
      read: () => orders.length,
    },
  ],
  features: { suggestions: 'moderate' }, // gone from moderate on
});

degradation.on('transition', ({ from, to, cause, trigger, value }) => {
  console.log(`${from} → ${to} (${cause}${trigger ? `: ${trigger} at ${value}` : ''})`);
});

export const orders: string[] = [];

export async function productPage(id: string, loadPrice: (id: string) => Promise<number>) {
  return {
    // Below moderate its errors are yours; at moderate the fallback stands in; from heavy on nobody is asked.
    price: await degradation.guard(
      () => loadPrice(id),
      async () => 'ask us',
    ),
    suggestions: degradation.runIfAvailable('suggestions', () => ['socks']) ?? [],
  };
}
