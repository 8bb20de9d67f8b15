import { CountingReceiver, FaultProxy } from '@otel-resilience/testing';
import { answerParent } from './answer-parent.js';

/** A collector: an OTLP/gRPC receiver that counts, behind a proxy that can cut it off. */
const receiver = new CountingReceiver({ protocol: 'grpc' });
await receiver.start();
const proxy = new FaultProxy({ upstream: receiver });
await proxy.start();

const methods = {
  port: () => proxy.port,
  /** Open connections are reset, new ones refused. */
  die: () => proxy.refuse(),
  revive: () => proxy.heal(),
  counts: () => receiver.snapshot(),
  received: () => ({ receivedSpans: receiver.receivedSpans, spanKeys: [...receiver.spanIds] }),
};

export type CollectorMethods = typeof methods;
answerParent(methods);
