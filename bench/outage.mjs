// The claim: an outage of the collector loses nothing, and when it is back the first spans are there within a second.
//
// An application ends 2,000 spans a second for 30 s. After 5 s its collector is away for 15 s, in one of two ways:
// - refused: nobody listens, open connections are reset;
// - black hole: connections, old and new, are silent in both directions, and those that were open stay silent when the
//   rest of the world is back.
// Ours is `resilience()` with its defaults and the memory spool; stock is BatchSpanProcessor over the stock exporter.
//
// - `received<transport>`: different spans received ÷ spans ended, collector refusing; ours is the worst run, stock the median.
//   `receivedBlackhole…`: likewise in a black hole.
// - `firstSuccessMillis…`: from the moment the collector could be reached until it took the first request with spans, the
//   longest of all runs. Where none came before the load ended, those 10 s stand for it: the truth is longer.
// - `duplicates…`: spans that came more than once ÷ spans ended, the most of all runs. OTLP accepts them.
//
// The eight cases run at the same time, each with a collector of its own, started 2 s apart: they need little CPU, and
// their collectors do not come back together.
import { median, round } from './harness.mjs';
import { Figures, least, most, nameOf, percent } from './support/figures.mjs';
import { startProcess } from './support/processes.mjs';
import { silence } from './support/turn.mjs';

export const OPTIONS = ['rounds', 'only', 'quick'];

const RATE = 2_000;
const TIMES = { before: 5, away: 15, after: 10 };
const QUICK_TIMES = { before: 1, away: 2, after: 3 };
const APART_SECONDS = 2;
const ROUNDS = 5;

const TRANSPORTS = { http: 'http/protobuf', grpc: 'grpc' };
const NAMES = { http: 'Http', grpc: 'Grpc', refuse: '', blackHole: 'Blackhole', preset: '', stock: 'Stock' };

const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1_000));

export async function run({ log, rounds = ROUNDS, only = Object.keys(TRANSPORTS), quick = false }) {
  const times = quick ? QUICK_TIMES : TIMES;
  const count = quick ? 1 : rounds;
  const cases = [];
  for (const transport of only) {
    for (const how of ['refuse', 'blackHole']) {
      for (const kind of ['preset', 'stock']) cases.push({ transport, how, kind, runs: [] });
    }
  }
  const seconds = cases.length * APART_SECONDS + times.before + times.away + times.after + 15;
  log(`outage: ${count} rounds of ${cases.length} cases side by side, about ${seconds} s each`);
  for (let index = 0; index < count; index++) {
    const order = cases.map((_, place) => cases[(place + index) % cases.length]);
    const running = order.map(async (each, place) => {
      await sleep(place * APART_SECONDS);
      each.runs.push(await outage(each, index + 1, times));
    });
    await Promise.all(running);
    log(`  round ${index + 1} of ${count}`);
  }
  const { metrics, spread } = figuresOf(cases);
  return { metrics, spread, tables: { 'medians by case': cases.map(row) } };
}

async function outage({ transport, how, kind }, seed, times) {
  const protocol = TRANSPORTS[transport];
  const collector = await startProcess('collector-process.mjs', {
    protocols: [protocol],
    proxied: true,
    requestLog: 1e6,
  });
  const [url] = await collector.call('urls');
  const application = await startProcess('application-process.mjs', { pipeline: { kind, protocol, url }, seed });
  try {
    const total = times.before + times.away + times.after;
    const loaded = application.call('pace', { rate: RATE, seconds: total, tickMillis: 10 });
    await sleep(times.before);
    await collector.call('leave', 0, how);
    await sleep(times.away);
    const backAt = await collector.call('comeBack', 0);
    await loaded;
    const firstSuccessMillis = await collector.call('firstSuccessAfter', 0, backAt);
    const flush = await application.call('forceFlush');
    const shutdown = await application.call('shutdown');
    await silence(collector, 0, 1_000);
    const snapshot = await collector.call('snapshot', 0);
    const status = await application.call('stats');
    if (status?.balanced === false) throw new Error(`the ledger is not balanced: ${JSON.stringify(status.totals)}`);
    const ended = RATE * total;
    return {
      ...snapshot,
      ended,
      flush,
      shutdown,
      share: snapshot.uniqueSpans / ended,
      duplicateShare: snapshot.duplicates / ended,
      isLate: firstSuccessMillis === undefined,
      firstSuccessMillis: firstSuccessMillis ?? times.after * 1_000,
    };
  } finally {
    await application.stop();
    await collector.stop();
  }
}

function figuresOf(cases) {
  const figures = new Figures();
  for (const { transport, how, kind, runs } of cases) {
    const add = (name, read, statistic) =>
      figures.add(nameOf(NAMES[kind], name, NAMES[how], NAMES[transport]), runs.map(read), statistic);
    add('Received', ({ share }) => share, kind === 'stock' ? median : least);
    add('FirstSuccessMillis', ({ firstSuccessMillis }) => firstSuccessMillis, most);
    add('Duplicates', ({ duplicateShare }) => duplicateShare, most);
  }
  return figures;
}

function row({ transport, how, kind, runs }) {
  const of = (read) => round(median(runs.map(read)));
  const errors = [...new Set(runs.flatMap(({ flush, shutdown }) => [flush.error, shutdown.error]).filter(Boolean))];
  return {
    transport,
    collector: how === 'refuse' ? 'refuses' : 'black hole',
    pipeline: kind === 'preset' ? 'ours' : 'stock',
    runs: runs.length,
    ended: runs[0].ended,
    'received %': percent(median(runs.map(({ share }) => share))),
    'least %': percent(least(runs.map(({ share }) => share))),
    'duplicates %': of(({ duplicateShare }) => duplicateShare * 100),
    'first success ms': of(({ firstSuccessMillis }) => firstSuccessMillis),
    'longest ms': most(runs.map(({ firstSuccessMillis }) => firstSuccessMillis)),
    'none in time': runs.filter(({ isLate }) => isLate).length,
    'flush s': of(({ flush }) => flush.tookMillis / 1_000),
    errors: errors.join(' / ').slice(0, 100),
  };
}
