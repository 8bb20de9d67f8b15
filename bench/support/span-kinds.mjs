// The kinds of spans that a shop's service makes. Each is a function that draws one template; see varied-spans.mjs.
import { defaultTextMapGetter, ROOT_CONTEXT, SpanKind, trace } from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';

/** Contexts of remote parents are what it makes of headers: made in another way they would have other hidden classes. */
const propagator = new W3CTraceContextPropagator();

/** Weights of local roots, and how many children they have. */
export const LOCAL_TRACES = [
  [70, { root: httpServer, children: [2, 12] }],
  [15, { root: consume, children: [1, 6] }],
  [15, { root: job, children: [0, 3] }],
];
/** Weights of what they do. */
export const CHILDREN = [
  [16, sql],
  [14, redis],
  [14, httpClient],
  [12, business],
  [10, middleware],
  [8, mongo],
  [6, grpcClient],
  [6, produce],
  [4, resolver],
  [4, bare],
  [3, file],
  [3, model],
];

const scope = (name, version) => ({ name: `@opentelemetry/instrumentation-${name}`, version });
const HTTP = scope('http', '0.223.0');
const EXPRESS = scope('express', '0.71.0');
const PG = scope('pg', '0.75.0');
const REDIS = scope('ioredis', '0.71.1');
const MONGO = scope('mongodb', '0.76.0');
const KAFKA = scope('kafkajs', '0.32.0');
const GRPC = scope('grpc', '0.223.0');
const FS = scope('fs', '0.42.0');
const SHOP = { name: 'shop', version: undefined };

const span = (scope, kind, name, rest) => ({
  scope,
  kind,
  name,
  attributes: {},
  fresh: [],
  later: {},
  events: [],
  links: [],
  status: undefined,
  ...rest,
});

const ROUTES = [
  '/api/v1/orders/:id',
  '/api/v1/users/:id',
  '/api/v1/carts/:id/items',
  '/search',
  '/checkout',
  '/health',
];
const HOSTS = ['inventory.internal', 'payments.example.com', 'recommendations.prod.svc.cluster.local', 'geo.internal'];
const TABLES = ['orders', 'order_items', 'users', 'stock_levels', 'addresses'];
const PEOPLE = ['Zoë Müller', '田中 太郎', 'John Smith', 'Łukasz Żak', 'Ana García', '😀 guest', 'Ivy Chen'];
const AGENTS = [
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148',
  'curl/8.11.0',
  'okhttp/4.12.0',
];

function httpServer(draw) {
  const route = draw.of(ROUTES);
  const method = draw.of(['GET', 'GET', 'GET', 'POST', 'DELETE']);
  return span(HTTP, SpanKind.SERVER, `${method} ${route}`, {
    attributes: {
      'http.request.method': method,
      'url.scheme': 'https',
      'server.address': 'shop.example.com',
      'server.port': 443,
      'user_agent.original': draw.of(AGENTS),
      'network.protocol.version': draw.of(['1.1', '2']),
      'network.peer.address': draw.address(),
    },
    fresh: [
      ['url.path', `${route.replace(':id', '')}/`],
      ['network.peer.port', 64_000],
      ...(draw.chance(0.3) ? [['client.address', '198.51.']] : []),
      ...(draw.chance(0.4) ? [['enduser.id', 'u-']] : []),
    ],
    later: {
      'http.response.status_code': draw.of([200, 200, 200, 201, 204, 304, 404]),
      'http.route': route,
      ...(draw.chance(0.4) && { 'app.customer': draw.of(PEOPLE) }),
      ...(draw.chance(0.2) && { 'app.features': draw.some(['new-cart', 'dark', 'one-click', 'ai-search', 'beta']) }),
    },
    events: draw.chance(0.2)
      ? [{ name: 'session.loaded', attributes: { 'session.age': draw.fraction() * 3_600 } }]
      : [],
  });
}

function httpClient(draw) {
  const host = draw.of(HOSTS);
  const method = draw.of(['GET', 'POST', 'PUT']);
  return span(HTTP, SpanKind.CLIENT, method, {
    attributes: {
      'http.request.method': method,
      'server.address': host,
      'server.port': draw.of([80, 443, 8_080]),
      'network.protocol.version': '1.1',
    },
    fresh: [['url.full', `https://${host}/v2/${draw.word()}/${draw.word()}?trace=1&item=`]],
    later: { 'network.peer.address': draw.address(), 'http.response.status_code': draw.of([200, 200, 200, 202, 404]) },
    events: draw.chance(0.3)
      ? ['dns.done', 'connect.done', 'response.first_byte'].map((name) => ({ name, attributes: undefined }))
      : [],
  });
}

function middleware(draw) {
  const name = draw.of(['query', 'expressInit', 'corsMiddleware', 'jsonParser', 'session', 'authenticate']);
  return span(EXPRESS, SpanKind.INTERNAL, `middleware - ${name}`, {
    attributes: { 'http.route': '/', 'express.name': name, 'express.type': 'middleware' },
  });
}

function sql(draw) {
  const table = draw.of(TABLES);
  const columns = draw.some([
    'id',
    'customer_id',
    'status',
    'created_at',
    'total_cents',
    'currency',
    'shipping_address',
  ]);
  const joined = draw.chance(0.3) ? ` JOIN ${draw.of(TABLES)} AS other ON other.order_id = ${table}.id` : '';
  return span(PG, SpanKind.CLIENT, `pg.query:SELECT ${table}`, {
    attributes: {
      'db.system.name': 'postgresql',
      'db.namespace': 'shop',
      'server.address': 'pg-primary.internal',
      'server.port': 5_432,
      'db.user': 'shop_rw',
    },
    fresh: [
      [
        'db.query.text',
        `SELECT ${columns.join(', ')} FROM ${table}${joined} WHERE ${table}.deleted = $1 AND ${table}.id = `,
      ],
    ],
    later: draw.chance(0.5)
      ? { 'db.response.returned_rows': draw.whole(0, 500), 'db.pool.wait_ms': draw.fraction() * 4 }
      : {},
  });
}

function redis(draw) {
  const command = draw.of(['get', 'set', 'hgetall', 'expire', 'mget']);
  return span(REDIS, SpanKind.CLIENT, command, {
    attributes: {
      'db.system.name': 'redis',
      'server.address': 'redis-0.redis.prod.svc.cluster.local',
      'server.port': 6_379,
    },
    fresh: [['db.query.text', `${command} session:${draw.word()}:`]],
    events: draw.chance(0.3)
      ? [{ name: 'cache.lookup', attributes: { 'cache.hit': draw.chance(0.8), 'cache.ttl': draw.whole(0, 3_600) } }]
      : [],
  });
}

function mongo(draw) {
  return span(MONGO, SpanKind.CLIENT, `mongodb.${draw.of(['find', 'aggregate', 'update'])}`, {
    attributes: {
      'db.system.name': 'mongodb',
      'db.namespace': 'catalogue',
      'db.collection.name': draw.of(['products', 'prices', 'reviews']),
      'db.operation.name': draw.of(['find', 'aggregate', 'update']),
      'server.address': 'mongo-1.internal',
      'server.port': 27_017,
    },
    fresh: [['db.query.text', `{"filter":{"tenant":"?","${draw.word()}":{"$in":["?","?"]}},"limit":20,"n":`]],
  });
}

function grpcClient(draw) {
  const method = draw.of(['Reserve', 'Release', 'Quote', 'StreamPrices']);
  return span(GRPC, SpanKind.CLIENT, `grpc.inventory.v1.Inventory/${method}`, {
    attributes: {
      'rpc.system': 'grpc',
      'rpc.service': 'inventory.v1.Inventory',
      'rpc.method': method,
      'server.address': 'inventory.prod.svc.cluster.local',
      'server.port': 9_090,
    },
    later: { 'rpc.grpc.status_code': 0 },
    events: Array.from({ length: draw.whole(0, 2) }, (_, i) => ({
      name: 'message',
      attributes: {
        'message.type': i === 0 ? 'SENT' : 'RECEIVED',
        'message.id': 1,
        'message.uncompressed_size': 512 * i,
      },
    })),
  });
}

function produce(draw) {
  const topic = draw.of(['orders.created', 'stock.changed', 'mail.requested']);
  return span(KAFKA, SpanKind.PRODUCER, `send ${topic}`, {
    attributes: {
      'messaging.system': 'kafka',
      'messaging.destination.name': topic,
      'messaging.operation.type': 'send',
      'messaging.destination.partition.id': String(draw.whole(0, 23)),
      'messaging.batch.message_count': draw.whole(1, 30),
    },
    fresh: [['messaging.kafka.message.key', `${draw.word()}-`]],
  });
}

function consume(draw) {
  const links = Array.from({ length: draw.whole(1, 4) }, () => ({
    context: remoteParent(draw),
    attributes: {
      'messaging.kafka.offset': draw.whole(1e6, 1e10),
      'messaging.message.body.size': draw.whole(20, 9_000),
    },
  }));
  return span(KAFKA, SpanKind.CONSUMER, 'process orders.created', {
    attributes: {
      'messaging.system': 'kafka',
      'messaging.destination.name': 'orders.created',
      'messaging.operation.type': 'process',
      'messaging.consumer.group.name': 'fulfilment',
      'messaging.batch.message_count': links.length,
    },
    links,
  });
}

function business(draw) {
  return span(SHOP, SpanKind.INTERNAL, draw.of(['priceBasket', 'applyDiscounts', 'estimateDelivery', 'scoreFraud']), {
    attributes: {
      'basket.items': draw.whole(1, 40),
      'basket.total': Math.round(draw.fraction() * 1e5) / 100,
      'basket.currency': draw.of(['EUR', 'USD', '¥', 'PLN']),
      'basket.weights': Array.from({ length: draw.whole(1, 6) }, () => draw.fraction() * 20),
      'basket.skus': Array.from({ length: draw.whole(1, 5) }, () => `SKU-${draw.whole(1e5, 1e6)}`),
      'basket.gift': draw.chance(0.1),
      'fraud.score': draw.fraction(),
    },
    fresh: [['order.id', 'ord_']],
    later: draw.chance(0.3) ? { 'discount.code': 'SOMMER-Überraschung', 'discount.percent': draw.whole(5, 50) } : {},
    events: draw.chance(0.4)
      ? [
          {
            name: 'rule.matched',
            attributes: { 'rule.name': `${draw.word()}-${draw.word()}`, 'rule.order': draw.whole(1, 90) },
          },
        ]
      : [],
  });
}

function resolver(draw) {
  return span(SHOP, SpanKind.INTERNAL, `resolve ${draw.word()}`, { attributes: { 'graphql.depth': draw.whole(1, 9) } });
}

function bare(draw) {
  return span(SHOP, SpanKind.INTERNAL, draw.of(['render', 'validate', 'serialize']), {});
}

function file(draw) {
  return span(FS, SpanKind.INTERNAL, `fs ${draw.of(['readFile', 'stat', 'access'])}`, {
    fresh: [['file.path', `/srv/shop/var/cache/${draw.word()}/${draw.word()}-`]],
  });
}

function model(draw) {
  return span(SHOP, SpanKind.CLIENT, 'chat gpt-large', {
    attributes: {
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'openai',
      'gen_ai.request.model': 'gpt-large',
      'gen_ai.request.temperature': 0.2,
      'gen_ai.request.top_p': 0.95,
      'gen_ai.request.max_tokens': 1_024,
      'gen_ai.request.stop_sequences': ['\n\n', 'END'],
      'gen_ai.response.finish_reasons': ['stop'],
      'server.address': 'llm-gateway.internal',
      'server.port': 443,
      'app.prompt.version': draw.whole(1, 40),
      'app.stream': true,
    },
    fresh: [
      ['gen_ai.response.id', 'chatcmpl-'],
      ['app.prompt', `${Array.from({ length: draw.whole(20, 80) }, () => draw.word()).join(' ')} #`],
    ],
    later: { 'gen_ai.usage.input_tokens': draw.whole(100, 9_000), 'gen_ai.usage.output_tokens': draw.whole(10, 900) },
    events: [{ name: 'first_token', attributes: { 'app.millis': draw.fraction() * 900 } }],
  });
}

export function job(draw) {
  return span(SHOP, SpanKind.INTERNAL, `job ${draw.of(['expireCarts', 'syncPrices', 'sendDigest'])}`, {
    attributes: { 'job.attempt': draw.whole(1, 5), 'job.queue': draw.word(), 'job.delay_ms': draw.whole(-50, 90_000) },
    fresh: [['job.id', 'job:']],
  });
}

export function remoteParent(draw) {
  const states = ['ot=th:8', 'ot=rv:6e6d1a75832a2f,vendor=00f067aa0ba902b7'];
  const tracestate = draw.chance(0.3) ? draw.of(states) : undefined;
  const headers = { traceparent: `00-${draw.hex(32)}-${draw.hex(16)}-01`, tracestate };
  return trace.getSpanContext(propagator.extract(ROOT_CONTEXT, headers, defaultTextMapGetter));
}
