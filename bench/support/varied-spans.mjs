// The workload of the benches: spans as a shop's service makes them, of many shapes.
//
// One shape would flatter everybody: the engine learns it, and every encoder becomes twice as fast as in an application
// (FACTS). So here are fourteen kinds of spans from nine instrumentation scopes, with 0 to 17 attributes, strings short,
// long and not ASCII, whole numbers, fractions, booleans and arrays, events, stack traces, links, remote parents and
// tracestate; grouped in local traces of which children end before their root. Mean size about 590 bytes encoded.
// Everything is drawn from the seed; values that no two requests share (ids, paths, statements) are made anew for every
// span from its number, since a string that comes again could be recognized and need not be encoded again.
import { ROOT_CONTEXT, SpanStatusCode, trace } from '@opentelemetry/api';
import { drawing } from './drawing.mjs';
import { CHILDREN, job, LOCAL_TRACES, remoteParent } from './span-kinds.mjs';

const HABITS = 24;
const PEERS = ['inventory', 'payments', 'recommendations', 'geo', 'mail', 'search-api', 'ledger', 'identity'];

/** The functions of the shop that put themselves on their spans. */
const SOURCES = sources(drawing(7));

function sources(draw) {
  return Array.from({ length: 60 }, () => ({
    function: `${draw.word()}.${draw.word()}`,
    path: `/srv/shop/dist/${draw.word()}/${draw.word()}.js`,
  }));
}

/**
 * A list of `count` span templates: local traces, one after the other, each one's root last. Plain data:
 * `{ scope, name, kind, attributes, fresh, later, events, links, status, first, last, remote }`, where `fresh` are
 * attributes whose value is made of a prefix and the span's number, or is that number modulo another, and `remote` is the
 * root's parent.
 */
export function makeSpanTemplates({ seed = 1, count = 2_048 } = {}) {
  const draw = drawing(seed);
  const habits = Array.from({ length: HABITS }, () => ({
    takes: Array.from({ length: 12 }, () => draw.chance(0.42)),
    early: draw.chance(0.5),
    requestId: draw.chance(0.5),
  }));
  // Code paths are few, and each adds what it adds: a kind of spans is decorated in one of three ways.
  const byKind = new Map();
  const habitsOf = (kind) => {
    if (!byKind.has(kind)) byKind.set(kind, [draw.of(habits), draw.of(habits), draw.of(habits)]);
    return byKind.get(kind);
  };
  const templates = [];
  while (templates.length < count) {
    const { root, children } = draw.weighted(LOCAL_TRACES);
    const most = Math.min(children[1], count - templates.length - 1);
    const kinds = Array.from({ length: draw.whole(Math.min(children[0], most), most) }, () => draw.weighted(CHILDREN));
    const made = [...kinds, root].map((kind) => failing(decorated(kind(draw), draw.of(habitsOf(kind)), draw), draw));
    const remote = root !== job && draw.chance(0.6) ? remoteParent(draw) : undefined;
    templates.push(...made.map((span, i) => ({ ...span, first: i === 0, last: i === made.length - 1, remote })));
  }
  return templates;
}

/**
 * Ends span after span through tracers of `provider`, one per scope: `end(i)` makes and ends the span of the template
 * `i`, modulo their number, and returns it. In ascending order of `i` the children have their local root as parent.
 */
export function spanEnder(provider, templates) {
  const tracers = new Map();
  const tracerOf = ({ name, version }) => {
    if (!tracers.has(name)) tracers.set(name, provider.getTracer(name, version));
    return tracers.get(name);
  };
  const plans = [];
  for (let i = templates.length - 1; i >= 0; i--) {
    const root = templates[i].last ? undefined : plans[i + 1].root;
    const parent = templates[i].remote ? trace.setSpanContext(ROOT_CONTEXT, templates[i].remote) : ROOT_CONTEXT;
    const plan = { ...templates[i], tracer: tracerOf(templates[i].scope), parent };
    plans[i] = { ...plan, root: root ?? plan };
  }
  let localRoot;
  let context = ROOT_CONTEXT;
  return (i) => {
    const plan = plans[i % plans.length];
    if (plan.first || localRoot === undefined) {
      localRoot = start(plan.root, i, plan.root.parent);
      context = trace.setSpan(plan.root.parent, localRoot);
    }
    if (!plan.last) return finish(start(plan, i, context), plan);
    const root = localRoot;
    localRoot = undefined;
    return finish(root, plan);
  };
}

function start({ tracer, name, kind, attributes, fresh, links }, number, parent) {
  const span = tracer.startSpan(name, { kind, attributes, links }, parent);
  for (const [key, of] of fresh) span.setAttribute(key, typeof of === 'string' ? of + number : number % of);
  return span;
}

function finish(span, { later, events, status }) {
  for (const key in later) span.setAttribute(key, later[key]);
  for (const { name, attributes } of events) span.addEvent(name, attributes);
  if (status !== undefined) span.setStatus(status);
  span.end();
  return span;
}

/** What an application adds to its spans, by processors, by request hooks and by hand: in a few habitual ways. */
function decorated(template, habit, draw) {
  const { attributes, fresh, later } = template;
  const offered = [
    ['app.tenant', draw.of(['acme-corporation', 'globex', 'initech-europe', 'umbrella'])],
    ['app.region', draw.of(['eu-central-1', 'us-east-2', 'ap-northeast-1'])],
    ['app.release', '2026.11.7-4be1f0c'],
    ['app.canary', draw.chance(0.1)],
    ['app.experiments', [`${draw.word()}:a`, `${draw.word()}:b`]],
    ['thread.id', draw.whole(1, 64)],
    ['code.function.name', draw.of(SOURCES).function],
    ['code.file.path', draw.of(SOURCES).path],
    ['code.line.number', draw.whole(1, 2_000)],
    ['peer.service', draw.of(PEERS)],
    ['app.sampling.score', draw.fraction()],
  ];
  const taken = Object.fromEntries(offered.filter((_, i) => habit.takes[i]));
  const { early } = habit;
  return {
    ...template,
    attributes: early ? { ...taken, ...attributes } : attributes,
    later: early ? later : { ...later, ...taken },
    fresh: [
      ...fresh,
      ...(habit.requestId ? [['app.request.id', `${draw.hex(20)}-`]] : []),
      ...(habit.takes.at(-1) ? [['session.previous_id', draw.hex(26)]] : []),
    ],
  };
}

/** Every fiftieth fails, with a stack trace. */
function failing(template, draw) {
  if (!draw.chance(0.02)) return template;
  const message = `${draw.word()} is not available: connect ECONNREFUSED ${draw.address()}:5432`;
  const frames = Array.from({ length: draw.whole(6, 12) }, () => {
    return `    at ${draw.word()}.${draw.word()} (/srv/shop/dist/${draw.word()}/${draw.word()}.js:${draw.whole(1, 900)}:17)`;
  });
  const attributes = {
    'exception.type': 'Error',
    'exception.message': message,
    'exception.stacktrace': [`Error: ${message}`, ...frames].join('\n'),
  };
  const events = [...template.events, { name: 'exception', attributes }];
  return { ...template, events, status: { code: SpanStatusCode.ERROR, message } };
}
