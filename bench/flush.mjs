// The claim: what has ended is sent when the application says flush or shutdown, however much it is.
//
// A warm application ends spans in a burst, in one turn of the event loop, then calls `forceFlush()` or `shutdown()`:
// - 30,000 spans, both processors with a queue of 65,536, ours with 64 MB;
// - 10,000 spans, the defaults of each.
// `received<spans><transport>`: different spans received ÷ spans ended, after flush and after shutdown; ours is the worst
// run, stock the median. `flushMillis…`: how long the call took, whatever had arrived by then.
import { median, round } from './harness.mjs';
import { Figures, least, nameOf, percent } from './support/figures.mjs';
import { startProcess } from './support/processes.mjs';
import { rounds as inRounds, silence } from './support/turn.mjs';

export const OPTIONS = ['rounds', 'only', 'quick'];

const PROTOCOLS = { http: 'http/protobuf', grpc: 'grpc' };
const NAMES = { http: 'Http', grpc: 'Grpc' };
const QUEUE = { maxQueueSize: 65_536 };
const BURSTS = [
  { name: '30k', spans: 30_000, stock: QUEUE, ours: { ...QUEUE, maxQueueBytes: 64_000_000 } },
  { name: '10k', spans: 10_000, stock: {}, ours: {} },
];
const METHODS = ['forceFlush', 'shutdown'];
const ROUNDS = 5;
const WARM_UP = { rate: 5_000, seconds: 1 };

export async function run({ log, rounds = ROUNDS, only = Object.keys(PROTOCOLS), quick = false }) {
  const collector = await startProcess('collector-process.mjs', { protocols: Object.values(PROTOCOLS) });
  const urls = await collector.call('urls');
  const count = quick ? 1 : rounds;
  const cases = [];
  for (const transport of only) {
    for (const burst of BURSTS) {
      for (const method of METHODS) {
        for (const kind of ['stock', 'ours']) cases.push({ transport, burst, method, kind });
      }
    }
  }
  log(`flush: ${count} rounds of ${cases.length} cases, about ${count * cases.length * 3} s`);
  try {
    const contenders = Object.fromEntries(
      cases.map((each) => [caseName(each), (index) => flushed(each, { collector, urls, seed: index + 1 })]),
    );
    const results = await inRounds(contenders, count, { log: (index) => log(`  round ${index + 1} of ${count}`) });
    for (const each of cases) each.runs = results[caseName(each)];
  } finally {
    await collector.stop();
  }
  const { metrics, spread } = figuresOf(cases);
  return { metrics, spread, tables: { 'medians by case': cases.map(row) } };
}

const caseName = ({ transport, burst, method, kind }) => `${kind} ${transport} ${burst.name} ${method}`;

async function flushed({ transport, burst, method, kind }, { collector, urls, seed }) {
  const door = Object.keys(PROTOCOLS).indexOf(transport);
  const pipeline = { kind, protocol: PROTOCOLS[transport], url: urls[door], processor: burst[kind] };
  const application = await startProcess('application-process.mjs', { pipeline, seed });
  try {
    await application.call('pace', WARM_UP);
    await application.call('forceFlush');
    await silence(collector, door);
    await collector.call('clear', door);
    await application.call('burst', burst.spans);
    const flush = await application.call(method);
    const { uniqueSpans: atReturn } = await collector.call('snapshot', door);
    await silence(collector, door);
    const snapshot = await collector.call('snapshot', door);
    return { ...snapshot, ...flush, share: snapshot.uniqueSpans / burst.spans, shareAtReturn: atReturn / burst.spans };
  } finally {
    await application.stop();
  }
}

function figuresOf(cases) {
  const figures = new Figures();
  for (const { transport, burst, kind } of cases.filter(({ method }) => method === METHODS[0])) {
    const isSame = (each) => each.transport === transport && each.burst === burst && each.kind === kind;
    const runs = cases.filter(isSame).flatMap((each) => each.runs);
    const suffix = `${burst.name}${NAMES[transport]}`;
    const prefix = kind === 'stock' ? 'Stock' : '';
    const shares = runs.map(({ share }) => share);
    figures.add(nameOf(prefix, 'Received', suffix), shares, kind === 'stock' ? median : least);
    const millis = runs.map(({ tookMillis }) => tookMillis);
    figures.add(nameOf(prefix, 'FlushMillis', suffix), millis);
  }
  return figures;
}

function row({ transport, burst, method, kind, runs }) {
  const of = (read) => median(runs.map(read));
  const errors = [...new Set(runs.map(({ error }) => error).filter(Boolean))];
  return {
    transport,
    spans: burst.spans,
    queue: burst[kind].maxQueueSize ?? 'default',
    call: method,
    pipeline: kind,
    runs: runs.length,
    'received %': percent(of(({ share }) => share)),
    'least %': percent(least(runs.map(({ share }) => share))),
    'received on return %': percent(of(({ shareAtReturn }) => shareAtReturn)),
    'took ms': round(of(({ tookMillis }) => tookMillis)),
    errors: errors.join(' / ').slice(0, 100),
  };
}
