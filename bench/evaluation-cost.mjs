// The claim: watching costs nothing that an application can feel. All that the default triggers sample, and the
// evaluations, stall the main thread for at most 0.5 ms at a time (p99), and take at most 0.1 % of a core at the default
// interval of 30 s, worker thread and thread pool included.
//
// `stallMillisP99`: `async_hooks` say when the main thread begins and ends a callback; those that follow one another within
// 20 µs count as one. Per evaluation interval the longest one counts, and the result is the 99th percentile of those.
// Start-up (`startMillis`, once) is left out, and so are those in which the kernel took the CPU away.
//
// `cpuShare`: sampling goes by the evaluation interval, so its cost is measured per evaluation at a short one and divided
// by 30 s; the event-loop histogram goes by time, so it is measured in real time, on an idle process, where it is
// dearest. Both less what the idle process takes.
import { createHook } from 'node:async_hooks';
import { PipelineSignals } from '@otel-resilience/core';
import {
  CpuTrigger,
  DegradationController,
  EndpointTrigger,
  ErrorRateTrigger,
  EventLoopTrigger,
  HeapTrigger,
  LatencyTrigger,
  MemoryTrigger,
  QueueTrigger,
  QuotaTrigger,
  SpoolTrigger,
  TimeoutRateTrigger,
} from '@otel-resilience/degradation';
import { median } from './harness.mjs';

const DEFAULT_INTERVAL_MILLIS = 30_000;
// The host's CPU is sampled no more often than every 205 ms, and 0.45 × the interval is the sampling interval.
const SHORT_INTERVAL_MILLIS = 500;
const EVALUATIONS = 100;
const ROUNDS = 5;
const ROUND_MILLIS = 4_000;
const WARM_UP_MILLIS = 2_000;
const SAME_SLICE_MILLIS = 0.02;

const sleep = (millis) => new Promise((resolve) => setTimeout(resolve, millis));

export async function evaluationCost({ log = () => {} } = {}) {
  const seconds = (2 * ROUNDS * ROUND_MILLIS + EVALUATIONS * SHORT_INTERVAL_MILLIS) / 1_000;
  log(`evaluation: about ${Math.round(seconds)} s, nearly all of it idle`);
  await sleep(WARM_UP_MILLIS);

  const idle = [];
  const ticking = [];
  for (let round = 0; round < ROUNDS; round++) {
    idle.push(await cpuShareWhile(() => sleep(ROUND_MILLIS)));
    const loop = [new EventLoopTrigger()];
    ticking.push(await watching(loop, DEFAULT_INTERVAL_MILLIS, () => cpuShareWhile(() => sleep(ROUND_MILLIS))));
  }
  const eventLoopShare = median(ticking.map((share, round) => share - idle[round]));

  const triggers = samplingTriggers();
  const slices = new MainThreadSlices();
  const longest = [];
  let startMillis;
  const cpu = await watching(triggers, SHORT_INTERVAL_MILLIS, async () => {
    startMillis = slices.takeLongest();
    return cpuShareWhile(async () => {
      for (let i = 0; i < EVALUATIONS; i++) {
        await sleep(SHORT_INTERVAL_MILLIS);
        longest.push(slices.takeLongest());
      }
    });
  });
  slices.stop();
  const samplingShare = ((cpu - median(idle)) * SHORT_INTERVAL_MILLIS) / DEFAULT_INTERVAL_MILLIS;

  return {
    stallMillisP99: percentile(longest, 0.99),
    cpuShare: Math.max(0, samplingShare) + Math.max(0, eventLoopShare),
    stallMillisMedian: median(longest),
    startMillis,
    samplingShare,
    eventLoopShare,
  };
}

/** The default set, but for the event loop's delay, with a pipeline that publishes all gauges. */
function samplingTriggers() {
  const signals = new PipelineSignals();
  const gauges = {
    queueUtilization: 0.1,
    spoolUtilization: 0.1,
    failedEndpoints: 0,
    exportLatencyP95Millis: 20,
    exportErrorRate: 0,
    exportTimeoutRate: 0,
    throttledExports: 0,
  };
  for (const [gauge, value] of Object.entries(gauges)) signals.publish(gauge, () => value);
  const pipeline = [
    LatencyTrigger,
    ErrorRateTrigger,
    TimeoutRateTrigger,
    QueueTrigger,
    SpoolTrigger,
    QuotaTrigger,
    EndpointTrigger,
  ];
  return [new CpuTrigger(), new MemoryTrigger(), new HeapTrigger(), ...pipeline.map((Type) => new Type({ signals }))];
}

async function watching(triggers, evaluationIntervalMillis, measure) {
  const controller = new DegradationController({ triggers, evaluationIntervalMillis });
  setImmediate(() => controller.start());
  try {
    await sleep(triggers.length > 1 ? WARM_UP_MILLIS : 100);
    const result = await measure();
    const failing = controller.status().triggers.filter((trigger) => trigger.failures > 0);
    if (failing.length > 0) throw new Error(`triggers that fail cost nothing: ${JSON.stringify(failing)}`);
    return result;
  } finally {
    controller.stop();
  }
}

/** CPU time of all threads of this process, as a share of one core. */
async function cpuShareWhile(run) {
  const startedAt = performance.now();
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000 / (performance.now() - startedAt);
}

/** What the main thread does without a break, in milliseconds. */
class MainThreadSlices {
  longest = 0;
  depth = 0;
  beganAt = 0;
  endedAt = 0;
  preemptions = 0;
  hook = createHook({ before: () => this.enter(), after: () => this.leave() }).enable();

  takeLongest() {
    const longest = this.longest;
    this.longest = 0;
    this.beganAt = this.endedAt = performance.now();
    return longest;
  }

  stop() {
    this.hook.disable();
  }

  enter() {
    if (this.depth++ > 0) return;
    if (performance.now() - this.endedAt < SAME_SLICE_MILLIS) return;
    this.preemptions = preempted();
    this.beganAt = performance.now(); // after what the measurement itself takes
  }

  leave() {
    if (--this.depth > 0) return;
    this.depth = 0;
    const now = performance.now();
    if (preempted() === this.preemptions) this.longest = Math.max(this.longest, now - this.beganAt);
    this.endedAt = performance.now();
  }
}

const preempted = () => process.resourceUsage().involuntaryContextSwitches;

function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)];
}
