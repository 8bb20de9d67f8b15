// What a request of the application under test does: five spans, two waits as for a database and a cache, and a little
// real work: about a tenth of a millisecond of parsing, adding up, hashing and serializing.
import { createHash } from 'node:crypto';
import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises';
import { context, SpanKind, trace } from '@opentelemetry/api';

export const SPANS_PER_REQUEST = 5;
const DATABASE_MILLIS = 2;

const ROW = JSON.stringify({
  id: 'ord_0',
  customer: { name: 'Zoë Müller', address: 'Große Straße 12, 20095 Hamburg', tier: 'gold' },
  items: Array.from({ length: 24 }, (_, i) => ({
    sku: `SKU-${100_000 + 37 * i}`,
    count: 1 + (i % 3),
    cents: 199 + 101 * i,
  })),
});

/** `(id, request) => Promise<string>`: the order as JSON. `provider` makes the tracers. */
export function orderHandler(provider) {
  const http = provider.getTracer('@opentelemetry/instrumentation-http', '0.223.0');
  const pg = provider.getTracer('@opentelemetry/instrumentation-pg', '0.75.0');
  const redis = provider.getTracer('@opentelemetry/instrumentation-ioredis', '0.71.1');
  const shop = provider.getTracer('shop');

  return async (id, { headers, socket }) => {
    const attributes = {
      'http.request.method': 'GET',
      'url.path': `/orders/${id}`,
      'url.scheme': 'http',
      'server.address': headers.host,
      'user_agent.original': headers['user-agent'] ?? '',
      'network.protocol.version': '1.1',
      'network.peer.address': socket.remoteAddress,
      'network.peer.port': socket.remotePort,
    };
    const root = http.startSpan('GET /orders/:id', { kind: SpanKind.SERVER, attributes });
    const body = await context.with(trace.setSpan(context.active(), root), async () => {
      await inSpan(redis, 'get', CACHE, `get session:${id}`, async (span) => {
        await nextTurn();
        span.addEvent('cache.lookup', { 'cache.hit': true, 'cache.ttl': 1_800 });
      });
      const row = await inSpan(pg, 'pg.query:SELECT orders', DATABASE, `${SELECT}'${id}'`, async () => {
        await wait(DATABASE_MILLIS);
        return ROW;
      });
      const order = await inSpan(shop, 'priceBasket', {}, undefined, async (span) => {
        const parsed = JSON.parse(row);
        const cents = parsed.items.reduce((sum, item) => sum + item.cents * item.count, 0);
        span.setAttributes({ 'basket.items': parsed.items.length, 'basket.total': cents / 100, 'order.id': id });
        return { ...parsed, id, cents };
      });
      return inSpan(shop, 'render', {}, undefined, async (span) => {
        const text = JSON.stringify(order);
        const etag = createHash('sha256').update(text).digest('hex');
        span.setAttribute('response.bytes', text.length);
        return JSON.stringify({ ...order, etag });
      });
    });
    root.setAttributes({ 'http.response.status_code': 200, 'http.route': '/orders/:id', 'enduser.id': `u-${id}` });
    root.end();
    return body;
  };
}

const DATABASE = {
  'db.system.name': 'postgresql',
  'db.namespace': 'shop',
  'server.address': 'pg.internal',
  'server.port': 5_432,
};
const CACHE = { 'db.system.name': 'redis', 'server.address': 'redis-0.internal', 'server.port': 6_379 };
const SELECT =
  'SELECT id, customer_id, status, created_at, total_cents, currency FROM orders WHERE deleted = false AND id = ';

function inSpan(tracer, name, attributes, query, work) {
  const kind = query ? SpanKind.CLIENT : SpanKind.INTERNAL;
  return tracer.startActiveSpan(name, { kind, attributes }, async (span) => {
    if (query) span.setAttribute('db.query.text', query);
    try {
      return await work(span);
    } finally {
      span.end();
    }
  });
}
