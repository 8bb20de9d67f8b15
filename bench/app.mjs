// The claim: tracing with ours adds at most half the latency, and takes at most half the throughput, that stock does.
//
// An HTTP application (Fastify, Express) makes five spans per request, two waits and a little real work. Its clients and
// its collector are processes of their own. Every round runs each contender once, in a fresh process: without exporter
// (`none`), with stock (BatchSpanProcessor, OTLP/HTTP), with ours (`resilience()`, OTLP/HTTP).
//
// - `addedP99Ratio`: p99 at a fixed rate of requests, an open loop at 45 % of what the application bears without
//   exporter: (ours − none) ÷ (stock − none). `lostThroughputRatio`: likewise with requests per second at saturation, 64
//   connections: (none − ours) ÷ (none − stock). The worse framework counts; each has its own figures too. They are ratios of the medians
//   over rounds of what each adds to `none` in the same round.
// - The headline figures of FEATURES, at 200 requests and 1,000 spans a second, with Fastify: `headline…`.
import { median, round } from './harness.mjs';
import { Figures, least, nameOf, percent } from './support/figures.mjs';
import { startProcess } from './support/processes.mjs';
import { rounds as inRounds, silence } from './support/turn.mjs';

export const OPTIONS = ['rounds', 'only', 'quick'];

const FRAMEWORKS = { fastify: 'Fastify', express: 'Express' };
const PROTOCOL = 'http/protobuf';
const CONNECTIONS = 64;
const LOAD_SHARE = 0.45;
const ROUNDS = 7;
const SECONDS = { warmUp: 2, openLoop: 5, saturation: 3, headline: 20 };
const QUICK_SECONDS = { warmUp: 1, openLoop: 1, saturation: 1, headline: 3 };
const HEADLINE = { framework: 'fastify', rate: 200, rounds: 3, warmUpSeconds: 6 };

export async function run({ log, rounds = ROUNDS, only = [...Object.keys(FRAMEWORKS), 'headline'], quick = false }) {
  const collector = await startProcess('collector-process.mjs', { protocols: [PROTOCOL] });
  const clients = await startProcess('load-process.mjs');
  const [url] = await collector.call('urls');
  const scene = { collector, clients, url, seconds: quick ? QUICK_SECONDS : SECONDS, log };
  const figures = new Figures();
  const tables = {};
  try {
    const count = quick ? 1 : rounds;
    const frameworks = Object.keys(FRAMEWORKS).filter((framework) => only.includes(framework));
    for (const framework of frameworks) tables[framework] = await compare(framework, count, scene, figures);
    for (const figure of ['addedP99Ratio', 'lostThroughputRatio']) {
      figures.addWorst(
        figure,
        frameworks.map((framework) => `${figure}${FRAMEWORKS[framework]}`),
      );
    }
    if (only.includes('headline'))
      tables['headline figures'] = await headline(quick ? 1 : HEADLINE.rounds, scene, figures);
  } finally {
    await clients.stop();
    await collector.stop();
  }
  const { metrics, spread } = figures;
  return { metrics, spread, tables };
}

async function compare(framework, count, scene, figures) {
  const { seconds, log } = scene;
  const probe = await turn({ framework, kind: 'none', rate: 500 }, scene);
  const rate = Math.round((probe.perSecond * LOAD_SHARE) / 50) * 50;
  const each = Object.values(seconds).reduce((sum, value) => sum + value) - seconds.headline + 2;
  log(
    `app: ${framework}, ${count} rounds of 3 contenders at ${rate} requests/s, about ${Math.round(count * 3 * each)} s`,
  );
  const contenders = {};
  for (const kind of ['none', 'stock', 'preset']) contenders[kind] = () => turn({ framework, kind, rate }, scene);
  const turns = await inRounds(contenders, count, { log: (index) => log(`  round ${index + 1} of ${count}`) });
  const beyondNone = (kind, read) => turns[kind].map((each, index) => read(each) - read(turns.none[index]));
  const add = (figure, read) => figures.addRatio(figure, beyondNone('preset', read), beyondNone('stock', read));
  const name = FRAMEWORKS[framework];
  add(`addedP99Ratio${name}`, ({ p99 }) => p99);
  add(`addedP50Ratio${name}`, ({ p50 }) => p50);
  add(`lostThroughputRatio${name}`, ({ perSecond }) => -perSecond);
  add(`addedCpuRatio${name}`, ({ cpuMicros, requests }) => cpuMicros / requests);
  const shares = (kind) => turns[kind].map(({ share }) => share);
  figures.add(`received${name}`, shares('preset'), least);
  figures.add(`stockReceived${name}`, shares('stock'), median);
  return Object.entries(turns).map(([kind, of]) => row(kind, rate, of));
}

async function turn({ framework, kind, rate }, { collector, clients, url, seconds }) {
  const server = await startProcess('server-process.mjs', { framework, pipeline: { kind, protocol: PROTOCOL, url } });
  try {
    const target = await server.call('url');
    await clients.call('saturate', { url: target, connections: CONNECTIONS, seconds: seconds.warmUp });
    await clients.call('openLoop', { url: target, rate, seconds: seconds.warmUp / 2 });
    await settle(server, collector);
    await server.call('measure');
    const latency = await clients.call('openLoop', { url: target, rate, seconds: seconds.openLoop });
    const { share, ...usage } = await settled(server, collector);
    const { perSecond } = await clients.call('saturate', {
      url: target,
      connections: CONNECTIONS,
      seconds: seconds.saturation,
    });
    return { ...latency, ...usage, perSecond, share };
  } finally {
    await server.stop();
  }
}

async function settle(server, collector) {
  await server.call('forceFlush');
  await silence(collector, 0);
  await collector.call('clear', 0);
}

async function settled(server, collector) {
  await server.call('forceFlush');
  await silence(collector, 0);
  const usage = await server.call('usage');
  const { uniqueSpans } = await collector.call('snapshot', 0);
  return { ...usage, share: uniqueSpans / usage.ended };
}

function row(kind, rate, turns) {
  const of = (read) => round(median(turns.map(read)));
  return {
    pipeline: kind === 'preset' ? 'ours' : kind,
    'p50 ms': of(({ p50 }) => p50),
    'p99 ms': of(({ p99 }) => p99),
    'p99.9 ms': of(({ p999 }) => p999),
    'at requests/s': rate,
    'CPU µs/request': of(({ cpuMicros, requests }) => cpuMicros / requests),
    'received %': kind === 'none' ? undefined : percent(median(turns.map(({ share }) => share))),
    'requests/s at saturation': of(({ perSecond }) => perSecond),
    'RSS MB': of(({ rss }) => rss / 1e6),
  };
}

async function headline(count, scene, figures) {
  const { seconds, log } = scene;
  log(
    `app: headline figures, ${count} rounds of 3 contenders, about ${count * 3 * (seconds.headline + HEADLINE.warmUpSeconds + 3)} s`,
  );
  const contenders = {};
  for (const kind of ['off', 'none', 'preset']) contenders[kind] = () => quietTurn(kind, scene);
  const turns = await inRounds(contenders, count, { log: (index) => log(`  round ${index + 1} of ${count}`) });
  const share = ({ cpuMicros, wallMillis }) => cpuMicros / 1_000 / wallMillis;
  const beyond = (kind, read) => turns.preset.map((each, index) => read(each) - read(turns[kind][index]));
  const impact = (read) => turns.preset.map((each, index) => read(each) / read(turns.off[index]) - 1);
  const add = (name, values, statistic) => figures.add(nameOf('headline', name), values, statistic);
  add(
    'ExportP99Millis',
    turns.preset.map(({ exportMillis }) => p99(exportMillis)),
  );
  add('CpuShare', beyond('none', share));
  add('CpuShareWithSdk', beyond('off', share));
  add(
    'RssMegabytes',
    turns.preset.map(({ rss }) => rss / 1e6),
  );
  add(
    'LossShare',
    turns.preset.map(({ share: received }) => 1 - received),
    (values) => Math.max(...values),
  );
  add(
    'LatencyImpactShare',
    impact(({ p50 }) => p50),
  );
  add(
    'LatencyP99ImpactShare',
    impact(({ p99: value }) => value),
  );
  const { metrics } = figures;
  const line = (figure, target, value, isMet) => ({ figure, target, measured: value, met: isMet ? 'yes' : 'no' });
  const inPercent = (value) => `${round(value * 100)} %`;
  const exports = turns.preset.reduce((sum, { exportMillis }) => sum + exportMillis.length, 0);
  return [
    line(
      `export p99 (of ${exports})`,
      '< 10 ms',
      `${metrics.headlineExportP99Millis} ms`,
      metrics.headlineExportP99Millis < 10,
    ),
    line('CPU, of one core', '< 2 %', inPercent(metrics.headlineCpuShare), metrics.headlineCpuShare < 0.02),
    line(
      'CPU, the SDK included',
      '< 2 %',
      inPercent(metrics.headlineCpuShareWithSdk),
      metrics.headlineCpuShareWithSdk < 0.02,
    ),
    line(
      'memory, of the whole process',
      '< 200 MB',
      `${metrics.headlineRssMegabytes} MB`,
      metrics.headlineRssMegabytes < 200,
    ),
    line('loss', '< 0.01 %', inPercent(metrics.headlineLossShare), metrics.headlineLossShare < 0.000_1),
    line(
      'latency p50, against no SDK',
      '< 1 %',
      inPercent(metrics.headlineLatencyImpactShare),
      metrics.headlineLatencyImpactShare < 0.01,
    ),
    line(
      'latency p99, against no SDK',
      '< 1 %',
      inPercent(metrics.headlineLatencyP99ImpactShare),
      metrics.headlineLatencyP99ImpactShare < 0.01,
    ),
  ];
}

async function quietTurn(kind, { collector, clients, url, seconds }) {
  const { framework, rate, warmUpSeconds } = HEADLINE;
  const pipeline = { kind, protocol: PROTOCOL, url, timed: true };
  const server = await startProcess('server-process.mjs', { framework, pipeline });
  try {
    const target = await server.call('url');
    await clients.call('openLoop', { url: target, rate, seconds: Math.min(warmUpSeconds, seconds.headline) });
    await settle(server, collector);
    await server.call('measure');
    const startedAt = performance.now();
    const latency = await clients.call('openLoop', { url: target, rate, seconds: seconds.headline });
    const wallMillis = performance.now() - startedAt;
    const usage = await settled(server, collector);
    return { ...latency, ...usage, wallMillis, exportMillis: await server.call('exportMillis') };
  } finally {
    await server.stop();
  }
}

function p99(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.ceil(0.99 * sorted.length) - 1];
}
