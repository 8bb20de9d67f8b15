import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { type Attributes, context, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';

/** What the shop answers: the ids of every span of the request, so that the client knows what must arrive. */
export interface ShopAnswer {
  readonly traceId: string;
  readonly spanIds: readonly string[];
}

const DATABASE_MILLIS = 2;
const PAYMENT_MILLIS = 4;
const DECLINED_EVERY = 25;

const tracer = trace.getTracer('outage-demo-shop', '0.1.0');
let orders = 0;

/** A small shop over HTTP: each order makes five spans. Listens on a free port of the loopback interface. */
export async function openShop(): Promise<{ port: number; close(): Promise<void> }> {
  const server: Server = createServer((request, response) => {
    placeOrder(request, response).catch((error) => response.destroy(error));
  });
  server.keepAliveTimeout = 0; // else it closes an idle connection in the moment that the client uses it again
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

async function placeOrder(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const order = ++orders;
  const server = tracer.startSpan('POST /orders', {
    kind: SpanKind.SERVER,
    attributes: {
      'http.request.method': request.method,
      'http.route': '/orders',
      'url.path': request.url,
      'url.scheme': 'http',
      'server.address': '127.0.0.1',
      'network.protocol.version': request.httpVersion,
      'user_agent.original': request.headers['user-agent'],
      'client.address': request.socket.remoteAddress,
    },
  });
  response.once('close', () => server.end());
  const spans = [server];
  const paid = await context.with(trace.setSpan(context.active(), server), () => processOrder(order, spans));

  const status = paid ? 201 : 402;
  server.setAttribute('http.response.status_code', status);
  const { traceId } = server.spanContext();
  const answer: ShopAnswer = { traceId, spanIds: spans.map((span) => span.spanContext().spanId) };
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
}

async function processOrder(order: number, spans: Span[]): Promise<boolean> {
  const step = async (name: string, kind: SpanKind, attributes: Attributes, work: (span: Span) => unknown) => {
    const span = tracer.startSpan(name, { kind, attributes });
    spans.push(span);
    try {
      await work(span);
      return true;
    } catch (error) {
      span.recordException(error as Error);
      span.setStatus({ code: SpanStatusCode.ERROR, message: (error as Error).message });
      return false;
    } finally {
      span.end();
    }
  };

  await step('validate order', SpanKind.INTERNAL, { 'order.id': order, 'order.items': (order % 5) + 1 }, (span) => {
    span.addEvent('validated', { 'order.currency': 'EUR', 'order.total': 19.9 * ((order % 5) + 1) });
  });
  await step('SELECT inventory', SpanKind.CLIENT, DATABASE, () => wait(DATABASE_MILLIS));
  const paid = await step('POST', SpanKind.CLIENT, { ...PAYMENT, 'order.id': order }, async (span) => {
    await wait(PAYMENT_MILLIS);
    const declined = order % DECLINED_EVERY === 0;
    span.setAttribute('http.response.status_code', declined ? 402 : 200);
    if (declined) throw new Error('the card was declined');
  });
  await step(paid ? 'send orders.placed' : 'send orders.declined', SpanKind.PRODUCER, MESSAGE, (span) => {
    span.setAttribute('messaging.message.id', `order-${order}`);
  });
  return paid;
}

const DATABASE = {
  'db.system.name': 'postgresql',
  'db.namespace': 'shop',
  'db.collection.name': 'inventory',
  'db.operation.name': 'SELECT',
  'db.query.text': 'SELECT sku, in_stock, price FROM inventory WHERE sku = ANY($1)',
  'server.address': 'inventory-db.internal',
  'server.port': 5432,
};
const PAYMENT = {
  'http.request.method': 'POST',
  'url.full': 'https://payments.internal/v1/charges',
  'server.address': 'payments.internal',
  'server.port': 443,
};
const MESSAGE = {
  'messaging.system': 'kafka',
  'messaging.operation.type': 'send',
  'messaging.destination.name': 'orders',
};
