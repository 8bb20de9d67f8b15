// An application that does nothing but end spans, at a given pace or at once, through one pipeline.
// Started with `{ pipeline, seed }`.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { makePipeline } from './pipelines.mjs';
import { answer, startArguments } from './processes.mjs';
import { makeSpanTemplates, spanEnder } from './varied-spans.mjs';

/** A turn of the event loop ends no more than this many, as one that serves requests; I/O has its chance in between. */
const MOST_PER_TURN = 100;
const RESOLUTION_MILLIS = 1;

const { pipeline: spec, seed } = startArguments();
const pipeline = await makePipeline(spec);
const end = spanEnder(pipeline.provider, makeSpanTemplates({ seed }));
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MILLIS });
let ended = 0;
let usageAtStart;
let rssAtStart;
let rss = [];

/** Ends `rate × seconds` spans, evenly; as fast as it can when it falls behind. Resolves with how long that took. */
async function pace({ rate, seconds, tickMillis = 1 }) {
  const total = Math.round(rate * seconds);
  const startedAt = performance.now();
  for (let done = 0; done < total; ) {
    const due = Math.min(total, Math.ceil(((performance.now() - startedAt) / 1_000) * rate));
    const until = Math.min(due, done + MOST_PER_TURN);
    for (; done < until; done++) end(ended++);
    if (done < due) await new Promise(setImmediate);
    else if (done < total) await new Promise((resolve) => setTimeout(resolve, tickMillis));
  }
  return performance.now() - startedAt;
}

async function watchingMemory(work) {
  const timer = setInterval(() => rss.push(process.memoryUsage.rss()), 50);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

answer({
  pace,
  /** As `pace`, with CPU, loop delay and memory watched from here to `usage`. */
  async measuredPace(load) {
    rss = [];
    usageAtStart = process.cpuUsage();
    delay.reset();
    delay.enable();
    const tookMillis = await watchingMemory(() => pace(load));
    delay.disable();
    return { tookMillis, delayP999Millis: delay.percentile(99.9) / 1e6, delayMaxMillis: delay.max / 1e6 };
  },
  /** Call it when all is sent. */
  usage() {
    const { user, system } = process.cpuUsage(usageAtStart);
    return { cpuMicros: user + system, rssAtStart, rssPeak: Math.max(...rss), rssMean: mean(rss) };
  },
  /** Ends spans in one turn of the event loop. */
  burst(count) {
    const until = ended + count;
    while (ended < until) end(ended++);
  },
  async forceFlush() {
    const startedAt = performance.now();
    const error = await pipeline.forceFlush();
    return { tookMillis: performance.now() - startedAt, error };
  },
  async shutdown() {
    const startedAt = performance.now();
    const error = await pipeline.shutdown();
    return { tookMillis: performance.now() - startedAt, error };
  },
  stats: () => pipeline.stats(),
});

// What the program itself takes, before the first span.
rssAtStart = process.memoryUsage.rss();

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
