// An HTTP application. Started with `{ framework, pipeline }`; the pipeline `off` is no SDK at all: the API's no-op tracers.
import { context, ProxyTracerProvider } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { orderHandler, SPANS_PER_REQUEST } from './order-handler.mjs';
import { makePipeline } from './pipelines.mjs';
import { answer, startArguments } from './processes.mjs';

const { framework, pipeline: spec } = startArguments();
const pipeline = spec.kind === 'off' ? { provider: new ProxyTracerProvider() } : await makePipeline(spec);
if (spec.kind !== 'off') context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());

let requests = 0;
const handle = orderHandler(pipeline.provider);
const serve = (id, request) => {
  requests++;
  return handle(id, request);
};
const port = await { fastify: listenWithFastify, express: listenWithExpress }[framework]();

async function listenWithFastify() {
  const { default: fastify } = await import('fastify');
  const app = fastify();
  app.get('/orders/:id', async (request, reply) => {
    reply.type('application/json');
    return serve(request.params.id, request.raw);
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  return app.server.address().port;
}

async function listenWithExpress() {
  const { default: express } = await import('express');
  const app = express();
  app.get('/orders/:id', async (request, response) => {
    response.type('application/json').send(await serve(request.params.id, request));
  });
  return new Promise((resolve) => {
    const server = app.listen(0, '127.0.0.1', () => resolve(server.address().port));
  });
}

let usageAtStart = process.cpuUsage();
let requestsAtStart = 0;

answer({
  url: () => `http://127.0.0.1:${port}/orders/`,
  measure() {
    usageAtStart = process.cpuUsage();
    requestsAtStart = requests;
    pipeline.exportMillis?.splice(0);
  },
  usage() {
    const { user, system } = process.cpuUsage(usageAtStart);
    const ended = (requests - requestsAtStart) * SPANS_PER_REQUEST;
    return { cpuMicros: user + system, ended, rss: process.memoryUsage.rss() };
  },
  forceFlush: () => pipeline.forceFlush?.(),
  /** How long each export took since `measure`. */
  exportMillis: () => pipeline.exportMillis ?? [],
});
