import { CountingReceiver, FaultProxy } from '@otel-resilience/testing';
import { RequestEstimator } from '../pressure/request-estimator.js';
import { answerParent } from './answer-parent.js';

/** A collector: an OTLP/gRPC receiver that counts, behind a proxy that can cut it off. Its argument: 'outlines' or none. */
const receiver = new CountingReceiver({ protocol: 'grpc', keepOutlines: process.argv[2] === 'outlines' });
await receiver.start();
const proxy = new FaultProxy({ upstream: receiver });
await proxy.start();

const estimator = new RequestEstimator();
let estimatedFrom = 0;

const methods = {
  port: () => proxy.port,
  /** Open connections are reset, new ones refused. */
  die: () => proxy.refuse(),
  revive: () => proxy.heal(),
  counts: () => receiver.snapshot(),
  received: () => ({ receivedSpans: receiver.receivedSpans, spanKeys: [...receiver.spanIds] }),
  /** How many requests there have been, by the spans received here. */
  estimate: () => {
    for (; estimatedFrom < receiver.outlines.length; estimatedFrom++) estimator.add(receiver.outlines[estimatedFrom]!);
    return estimator.estimate();
  },
  outlines: () => receiver.outlines,
};

export type CollectorMethods = typeof methods;
answerParent(methods);
