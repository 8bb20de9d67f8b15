import type { ReadableSpan } from '@otel-resilience/core';
import { Estimates } from './estimates.js';
import { foreignParent } from './foreign-sampler.js';
import { Process, type TailWrapper } from './process.js';
import { Random } from './random.js';
import { drawLevel, familyOf, servicesOf } from './services.js';
import { SimClock } from './sim-clock.js';
import { MAX_SPAN_MILLIS, type SpanRun, Workload } from './workload.js';

const REQUESTS_PER_MILLI = 1.2;
const MEAN_LEVEL_MILLIS = 800;
const MEAN_RULES_MILLIS = 4_000;
const MEAN_FLUSH_MILLIS = 4_000;
/** Longer than any span, and than what a request starts later. */
const CALENDAR_MILLIS = 8 * MAX_SPAN_MILLIS;

export interface CampaignOptions {
  readonly seed: number;
  /** At least so many spans are simulated. */
  readonly spans: number;
  /** What makes a mutant of the tail. */
  readonly wrap?: TailWrapper;
}

/** Runs all services for as long as it takes to start so many spans, and compares what is exported with the truth. */
export async function runCampaign({ seed, spans, wrap = (tail) => tail }: CampaignOptions): Promise<Estimates> {
  const random = new Random(seed);
  const services = servicesOf(seed);
  const { foreignRates } = familyOf(seed);
  const clock = new SimClock();
  const estimates = new Estimates(services.map(({ name }) => name));
  const onExport = (run: SpanRun, span: ReadableSpan) => estimates.exported(run, span);
  const processes = services.map((service) => new Process(service, clock, onExport, wrap));
  const workload = new Workload(random, services);
  const starts = new Calendar();
  const ends = new Calendar();
  const drawForeign = (traceId: string) => foreignParent(random, traceId, foreignRates);
  const flushes: Array<Promise<void>> = [];

  let now = 0;
  let started = 0;
  let open = 0;
  for (; started < spans || open > 0; now++) {
    clock.moveTo(now);
    for (const [index, process] of processes.entries()) {
      if (random.chance(1 / MEAN_LEVEL_MILLIS)) {
        process.controller.level = drawLevel(random.pick(services[index]!.levelWeights));
      }
      if (random.chance(1 / MEAN_RULES_MILLIS)) process.nextRules();
      if (random.chance(1 / MEAN_FLUSH_MILLIS)) flushes.push(process.flush());
    }
    let requests = started < spans ? Math.floor(2 * REQUESTS_PER_MILLI * random.unit() + random.unit()) : 0;
    for (; requests > 0; requests--) {
      const request = workload.request(now, drawForeign);
      estimates.expect(request);
      started += request.length;
      open += request.length;
      for (const run of request) starts.add(run.startMillis, run);
    }
    for (const run of starts.take(now)) {
      processes[run.local.service]!.start(run);
      ends.add(Math.max(now, run.endMillis), run);
    }
    for (const run of ends.take(now)) {
      processes[run.local.service]!.end(run);
      open--;
      if (--run.local.trace.open === 0) estimates.finish(run.local.trace);
    }
  }
  await Promise.all([...flushes, ...processes.map((process) => process.shutdown())]);
  for (const { tail } of processes) estimates.check(tail.stats());
  return estimates;
}

/** What is due at each millisecond, on a ring. */
class Calendar {
  private readonly days: SpanRun[][] = Array.from({ length: CALENDAR_MILLIS }, () => []);

  add(millis: number, run: SpanRun): void {
    this.days[millis % CALENDAR_MILLIS]!.push(run);
  }

  /** What is added for the same millisecond meanwhile is taken, too. */
  take(millis: number): SpanRun[] {
    const day = millis % CALENDAR_MILLIS;
    const due = this.days[day]!;
    this.days[day] = [];
    return due;
  }
}
