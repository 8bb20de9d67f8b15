import { FaultProxy } from '@otel-resilience/testing';
import { answerParent } from './answer-parent.js';

/** What many put before their collectors: a TCP proxy that goes to the first that accepts. Its arguments: ports. */
const host = '127.0.0.1';
const proxy = new FaultProxy({ upstreams: process.argv.slice(2).map((port) => ({ host, port: Number(port) })) });
await proxy.start();

const methods = {
  port: () => proxy.port,
};

export type LoadBalancerMethods = typeof methods;
answerParent(methods);
