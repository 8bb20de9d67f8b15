// The claim: sending a span costs the application less than half of what it costs with the stock pipeline, and nothing is
// lost at rates at which stock loses.
//
// An application process ends varied spans at a fixed pace; a collector in another process counts the different ones
// that arrive. Every round runs every contender once, each in a process of its own, in rotated order and with the same
// spans; ratios are paired by round.
//
// - `cpuRatio<rate><transport>`: CPU of the application beyond what it pays without a processor, per received span:
//   (ours − none) ÷ (stock − none). Queue, batch and concurrency are the defaults of each. Over gzip both compress at
//   level 6, zlib's default and all that stock offers; `…Level1`: both at level 1, ours' default, which is forced upon
//   stock; `…DefaultLevels`: each at its own.
// - `received100k…`: different spans received ÷ spans ended, at 100,000 a second for 10 s: ours with 64 MB and 4 exports
//   at a time, stock with its defaults, and tuned.
// - `loopDelayRatio20k`: p99.9 of how late a 1 ms timer fires, ours ÷ stock; `loopDelayNoneRatio20k…`: none ÷ stock, below
//   which no pipeline can be; `rssRatio20k`: growth of resident memory from before the first span to the peak under
//   load, ours ÷ stock, each less that of none. The worse transport counts.
import { median, ratios, round } from './harness.mjs';
import { Figures, least, percent } from './support/figures.mjs';
import { startProcess } from './support/processes.mjs';
import { measuredTurn, netMicros, rounds } from './support/turn.mjs';

export const OPTIONS = ['rounds', 'only', 'quick'];

const TRANSPORTS = {
  http: { name: 'Http', protocol: 'http/protobuf', compression: 'none' },
  'http+gzip': { name: 'HttpGzip', protocol: 'http/protobuf', compression: 'gzip' },
  grpc: { name: 'Grpc', protocol: 'grpc', compression: 'none' },
  'grpc+gzip': { name: 'GrpcGzip', protocol: 'grpc', compression: 'gzip' },
};
const PROTOCOLS = ['http/protobuf', 'grpc'];
const STOCK_GZIP_LEVEL = 6;
const OUR_GZIP_LEVEL = 1;

const DEFAULTS = {};
const TUNED = { maxQueueSize: 65_536, maxExportBatchSize: 4_096 };
// By bytes: the bound in spans is out of the way.
const AMPLE = { maxQueueSize: 1_000_000, maxQueueBytes: 64_000_000, maxConcurrentExports: 4 };

const CAMPAIGNS = [
  { rate: 50_000, seconds: 3, rounds: 11, transports: ['http', 'http+gzip', 'grpc', 'grpc+gzip'], isMain: true },
  { rate: 20_000, seconds: 8, rounds: 5, transports: ['http', 'grpc'] },
  { rate: 5_000, seconds: 3, rounds: 2, transports: ['http', 'grpc'] },
  { rate: 100_000, seconds: 10, rounds: 2, transports: ['http', 'grpc'], isOverload: true },
];
// Under this load the engine compiles for some seconds, in other threads: what a span costs in an application comes after.
const WARMUP_SECONDS = 6;

export async function run({ log, rounds: mainRounds, only = Object.keys(TRANSPORTS), quick = false }) {
  const collector = await startProcess('collector-process.mjs', { protocols: PROTOCOLS });
  const urls = await collector.call('urls');
  const figures = new Figures();
  const table = [];
  try {
    for (const campaign of CAMPAIGNS) {
      const transports = campaign.transports.filter((transport) => only.includes(transport));
      const count = quick ? 1 : (campaign.isMain && mainRounds) || campaign.rounds;
      const seconds = quick ? Math.min(1, campaign.seconds) : campaign.seconds;
      const warmupSeconds = quick ? 1 : WARMUP_SECONDS;
      if (transports.length === 0) continue;
      const contenders = makeContenders({ ...campaign, transports, seconds, warmupSeconds, collector, urls });
      const names = Object.keys(contenders);
      log(`pipeline: ${count} rounds of ${names.length} contenders at ${campaign.rate} spans/s for ${seconds} s each`);
      const turns = await rounds(contenders, count, { log: (index) => log(`  round ${index + 1} of ${count}`) });
      for (const name of names) table.push(row(name, campaign, contenders[name], turns));
      if (campaign.isOverload) addReceived(figures, turns, transports);
      else addCompared(figures, campaign, turns, transports);
    }
  } finally {
    await collector.stop();
  }
  const { metrics, spread } = figures;
  return { metrics, spread, tables: { 'medians by contender': table } };
}

function makeContenders({ rate, seconds, warmupSeconds, transports, isOverload = false, collector, urls }) {
  const contenders = {};
  const add = (name, kind, transport, processor, rest = {}) => {
    const { protocol, compression } = TRANSPORTS[transport];
    const door = PROTOCOLS.indexOf(protocol);
    const pipeline = { kind, protocol, url: urls[door], compression, processor, ...rest };
    const load = { rate, seconds, warmupSeconds, warmupRate: Math.min(rate, 50_000) };
    const turn = (index) => measuredTurn({ collector, door, pipeline, seed: index + 1, load });
    contenders[name] = Object.assign(turn, { pipeline, seconds });
  };
  if (!isOverload) add('none', 'none', transports[0], DEFAULTS);
  for (const transport of transports) {
    const isGzip = TRANSPORTS[transport].compression === 'gzip';
    add(`stock ${transport}`, 'stock', transport, DEFAULTS);
    const same = isGzip ? { compressionLevel: STOCK_GZIP_LEVEL } : {};
    add(`ours ${transport}`, 'ours', transport, isOverload ? AMPLE : DEFAULTS, same);
    if (isGzip) {
      add(`ours ${transport} level 1`, 'ours', transport, DEFAULTS, { compressionLevel: OUR_GZIP_LEVEL });
      add(`stock ${transport} level 1`, 'stock', transport, DEFAULTS, { compressionLevel: OUR_GZIP_LEVEL });
    }
    if (isOverload) add(`stock tuned ${transport}`, 'stock', transport, TUNED);
  }
  return contenders;
}

function addCompared(figures, { rate }, turns, transports) {
  const k = `${rate / 1_000}k`;
  const net = (contender) => turns[contender].map((turn, index) => netMicros(turn, turns.none[index]));
  const addCpu = (name, ours, stock) => figures.addBounded(`cpuRatio${k}${name}`, ratios(net(ours), net(stock)));
  for (const transport of transports) {
    const { name } = TRANSPORTS[transport];
    addCpu(name, `ours ${transport}`, `stock ${transport}`);
    const leveled = `ours ${transport} level 1`;
    if (!turns[leveled]) continue;
    addCpu(`${name}Level1`, leveled, `stock ${transport} level 1`);
    addCpu(`${name}DefaultLevels`, leveled, `stock ${transport}`);
  }
  if (rate === 20_000) addStalls(figures, turns, transports);
}

// What the histogram reads when nothing is late: the interval of its own timer.
const TIMER_MILLIS = 1;

function addStalls(figures, turns, transports) {
  const lateness = (contender) => turns[contender].map(({ delayP999Millis }) => delayP999Millis - TIMER_MILLIS);
  const growth = (contender) => turns[contender].map(({ rssPeak, rssAtStart }) => rssPeak - rssAtStart);
  const none = growth('none');
  const added = (contender) => growth(contender).map((bytes, index) => bytes - none[index]);
  for (const transport of transports) {
    const { name } = TRANSPORTS[transport];
    const [ours, stock] = [`ours ${transport}`, `stock ${transport}`];
    figures.addBounded(`loopDelayRatio20k${name}`, ratios(lateness(ours), lateness(stock)));
    figures.add(`loopDelayNoneRatio20k${name}`, ratios(lateness('none'), lateness(stock)));
    figures.addRatio(`rssRatio20k${name}`, added(ours), added(stock));
    figures.addBounded(`rssGrossRatio20k${name}`, ratios(growth(ours), growth(stock)));
  }
  for (const figure of ['loopDelayRatio20k', 'rssRatio20k', 'rssGrossRatio20k']) {
    figures.addWorst(
      figure,
      transports.map((transport) => `${figure}${TRANSPORTS[transport].name}`),
    );
  }
}

function addReceived(figures, turns, transports) {
  for (const transport of transports) {
    const { name } = TRANSPORTS[transport];
    for (const [prefix, kind] of Object.entries({
      received: 'ours',
      stockReceived: 'stock',
      stockTunedReceived: 'stock tuned',
    })) {
      const of = turns[`${kind} ${transport}`];
      const shares = of.map(({ share }) => share);
      figures.add(`${prefix}100k${name}`, shares, kind === 'ours' ? least : median);
      const pace = prefix.replace('received', 'ended').replace('Received', 'Ended');
      figures.add(
        `${pace}PerSecond100k${name}`,
        of.map(({ ended, tookMillis }) => (ended / tookMillis) * 1_000),
      );
    }
  }
}

function row(name, { rate }, { pipeline, seconds }, turns) {
  const of = (read) => round(median(turns[name].map(read)));
  const ours = { maxQueueSize: 10_000, maxExportBatchSize: '1,000 adaptive', maxConcurrentExports: 5 };
  const stock = { maxQueueSize: 2_048, maxExportBatchSize: 512, maxConcurrentExports: 1 };
  const state = { ...(pipeline.kind === 'ours' ? ours : stock), ...pipeline.processor };
  const { maxQueueSize, maxQueueBytes, maxExportBatchSize, maxConcurrentExports } =
    pipeline.kind === 'none' ? {} : state;
  return {
    contender: name,
    'spans/s': rate,
    seconds,
    queue: maxQueueBytes ? `${maxQueueBytes / 1e6} MB` : maxQueueSize,
    batch: maxExportBatchSize,
    exports: maxConcurrentExports,
    'CPU µs/span': of(({ cpuMicros, ended }) => cpuMicros / ended),
    'net µs/received':
      turns.none && name !== 'none'
        ? round(median(turns[name].map((turn, i) => netMicros(turn, turns.none[i]))))
        : undefined,
    'received %': name === 'none' ? undefined : percent(median(turns[name].map(({ share }) => share))),
    'paced s': of(({ tookMillis }) => tookMillis / 1_000),
    'delay p99.9 ms': of(({ delayP999Millis }) => delayP999Millis),
    'RSS growth MB': of(({ rssPeak, rssAtStart }) => (rssPeak - rssAtStart) / 1e6),
  };
}
