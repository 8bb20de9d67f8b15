import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { type Attributes, context, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Level } from '../level.js';

/** What the shop answers: the ids of every span of the request, so that the client knows what must arrive. */
export interface ShopAnswer {
  readonly traceId: string;
  readonly spanIds: readonly string[];
}

/** What the shop itself knows of an order, to be held against what arrives of its trace. */
export interface OrderRecord {
  readonly traceId: string;
  /** The request's own span first. */
  readonly spans: readonly StartedSpan[];
  /** Which span says so: a declined payment one of its own, a missing inventory the request's too. */
  readonly error: 'none' | 'child' | 'root';
  /** Wall time. */
  readonly startedAt: number;
  readonly durationMillis: number;
  /** What `level` said when the first span started, and when the last one ended. */
  readonly levelAtStart: Level;
  readonly levelAtEnd: Level;
}

export interface StartedSpan {
  readonly spanId: string;
  readonly recording: boolean;
}

export interface ShopOptions {
  /** For each so many orders the payment takes long. Default: never. */
  readonly slowPaymentEvery?: number;
  /** For each so many orders the inventory is not there. Default: never. */
  readonly noInventoryEvery?: number;
  readonly level?: () => Level;
  /** Called with each order when its last span has ended. */
  readonly onOrder?: (order: OrderRecord) => void;
}

const DATABASE_MILLIS = 2;
const PAYMENT_MILLIS = 4;
const SLOW_PAYMENT_MILLIS = 1_200;
const DECLINED_EVERY = 25;

const STATUS = { placed: 201, declined: 402, unavailable: 503 } as const;
const ERROR = { placed: 'none', declined: 'child', unavailable: 'root' } as const;
type Outcome = keyof typeof STATUS;

const tracer = trace.getTracer('outage-demo-shop', '0.1.0');
let orders = 0;

export interface Shop {
  readonly port: number;
  close(): Promise<void>;
}

/** A small shop over HTTP: each order makes five spans, unless it fails. Listens on a free port of the loopback interface. */
export async function openShop(options: ShopOptions = {}): Promise<Shop> {
  const server: Server = createServer((request, response) => {
    placeOrder(request, response, options).catch((error) => response.destroy(error));
  });
  server.keepAliveTimeout = 0; // else it closes an idle connection in the moment that the client uses it again
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

async function placeOrder(request: IncomingMessage, response: ServerResponse, options: ShopOptions): Promise<void> {
  const order = ++orders;
  const { level = () => 'normal', onOrder } = options;
  const startedAt = Date.now();
  const startMillis = performance.now();
  const levelAtStart = level();
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
  const { traceId } = server.spanContext();
  const spans = [started(server)];
  let outcome: Outcome = 'placed';
  response.once('close', () => {
    server.end();
    const durationMillis = performance.now() - startMillis;
    onOrder?.({ traceId, spans, error: ERROR[outcome], startedAt, durationMillis, levelAtStart, levelAtEnd: level() });
  });
  const requestContext = trace.setSpan(context.active(), server);
  outcome = await context.with(requestContext, () => processOrder(order, spans, options));

  const status = STATUS[outcome];
  server.setAttribute('http.response.status_code', status);
  if (outcome === 'unavailable') server.setStatus({ code: SpanStatusCode.ERROR, message: 'no inventory' });
  const answer: ShopAnswer = { traceId, spanIds: spans.map(({ spanId }) => spanId) };
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
}

async function processOrder(order: number, spans: StartedSpan[], options: ShopOptions): Promise<Outcome> {
  const step = async (name: string, kind: SpanKind, attributes: Attributes, work: (span: Span) => unknown) => {
    const span = tracer.startSpan(name, { kind, attributes });
    spans.push(started(span));
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
  const inStock = await step('SELECT inventory', SpanKind.CLIENT, DATABASE, async () => {
    await wait(DATABASE_MILLIS);
    if (isEach(options.noInventoryEvery, order)) throw new Error('the connection was refused');
  });
  if (!inStock) return 'unavailable';
  const paid = await step('POST', SpanKind.CLIENT, { ...PAYMENT, 'order.id': order }, async (span) => {
    await wait(isEach(options.slowPaymentEvery, order) ? SLOW_PAYMENT_MILLIS : PAYMENT_MILLIS);
    const declined = isEach(DECLINED_EVERY, order);
    span.setAttribute('http.response.status_code', declined ? 402 : 200);
    if (declined) throw new Error('the card was declined');
  });
  await step(paid ? 'send orders.placed' : 'send orders.declined', SpanKind.PRODUCER, MESSAGE, (span) => {
    span.setAttribute('messaging.message.id', `order-${order}`);
  });
  return paid ? 'placed' : 'declined';
}

const started = (span: Span): StartedSpan => ({ spanId: span.spanContext().spanId, recording: span.isRecording() });

const isEach = (every: number | undefined, order: number): boolean => every !== undefined && order % every === 0;

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
