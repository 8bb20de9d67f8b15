// The span of FACTS: 10 attributes, 1 event, about 590 bytes encoded.
const ATTRIBUTES = {
  'http.request.method': 'GET',
  'url.full': 'https://shop.example.com/api/v1/users/8231?expand=orders',
  'http.route': '/api/v1/users/:id',
  'http.response.status_code': 200,
  'server.address': 'shop.example.com',
  'server.port': 443,
  'network.protocol.version': '1.1',
  'user_agent.original': 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36',
  'app.tenant': 'acme-corporation',
  'app.cached': false,
};
const EVENT = { 'cache.hit': false, 'cache.key': 'user:8231' };

/** Makes and ends one, and returns it. */
export function endOne(tracer, event = EVENT) {
  const span = tracer.startSpan('GET /api/v1/users/:id', { kind: 1, attributes: ATTRIBUTES });
  span.addEvent('cache lookup', event);
  span.end();
  return span;
}
