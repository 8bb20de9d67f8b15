import type { ReadableSpan } from '@otel-resilience/core';
import type { TailSamplingStats } from '@otel-resilience/sampler';
import { type Cell, gTestOfFit, gTestOfIndependence } from './statistics.js';
import { Total } from './total.js';
import type { LocalRun, SpanRun, TraceRun } from './workload.js';
import { probabilityOf, thresholdIn } from './written-threshold.js';

/**
 * What is counted, of every service and overall: spans; those with an error; those over a second; local traces; and the
 * spans around errors, that is all of local traces with one, which only the tail brings together.
 */
export const MEASURES = ['spans', 'errors', 'slow', 'traces', 'around errors'] as const;
const SLOW_MILLIS = 1_000;
/** Of the randomness: the lower half, the lower half of the rest, … Where little is sampled, it is the last ones. */
const BUCKETS = 7;

/** Of one local trace, by measure. */
export class Sums {
  readonly truth = [0, 0, 0, 0, 0];
  readonly estimate = [0, 0, 0, 0, 0];
  /** Of the truth, what was not exported for certain: there the head's chance decides. */
  readonly atChance = [0, 0, 0, 0, 0];
}

/**
 * Estimates totals as a backend would, from exported spans alone: each counts `1 / probability` of its written
 * threshold, those without one are left out. The truth is that of all local traces that are countable at all: by
 * contract, local traces behind a foreign parent without a threshold, or with a wrong one, are not. Spans that were
 * never recorded do count: sampled ones stand for them.
 */
export class Estimates {
  /** Breaches of what must hold for every single span; the first few. */
  readonly breaches: string[] = [];
  readonly totals = new Map<string, Total>();
  /** First local traces of a service in a trace, by their probability: what the head kept of them. */
  readonly strata = new Map<string, Stratum>();
  spans = 0;
  earlyDecisions = 0;
  private readonly services: readonly string[];
  private readonly errors: ReadonlyArray<ReadonlyArray<{ yes: number; no: number }>>;

  constructor(services: readonly string[]) {
    this.services = services;
    this.errors = services.map(() => Array.from({ length: BUCKETS }, () => ({ yes: 0, no: 0 })));
    for (const group of [...services, 'overall']) {
      for (const measure of MEASURES) this.totals.set(`${group} ${measure}`, new Total());
    }
  }

  /** The truth. */
  expect(request: readonly SpanRun[]): void {
    this.spans += request.length;
    for (const run of request) {
      addTo(run.local.sums.truth, run, 1);
      addTo(run.local.sums.atChance, run, 1);
    }
  }

  exported(run: SpanRun, span: ReadableSpan): void {
    const { local } = run;
    const { randomness, foreign, open } = local.trace;
    const th = thresholdIn(span.spanContext().traceState?.get('ot'));
    if (run.exported) this.breach(local, 'was exported twice');
    if (open === 0) this.breach(local, 'was exported after its trace had ended');
    run.exported = true;
    if (th === '0' && run.isLocalRoot) local.isRootKeptForCertain = true;
    if (local.probability === undefined) {
      const isKnown = th === undefined || th === '0' || foreign!.hasThreshold;
      if (!isKnown) this.breach(local, `has threshold ${th}, which nobody could know`);
      return;
    }
    if (th === undefined) {
      if (local.isRootSampled) this.breach(local, 'is sampled without its threshold');
      return;
    }
    addTo(local.sums.estimate, run, 1 / probabilityOf(th));
    if (th === '0') {
      addTo(local.sums.atChance, run, -1);
      return;
    }
    const isExact = Math.abs(probabilityOf(th) / local.probability - 1) < 1e-9;
    if (!isExact) this.breach(local, `has threshold ${th}, for a probability of ${local.probability}`);
    if (randomness < th.padEnd(14, '0')) this.breach(local, `has randomness ${randomness} below its threshold ${th}`);
  }

  /** All spans of a trace have ended, and with them its local roots: everything has been decided. */
  finish({ locals }: TraceRun): void {
    for (const local of locals) {
      if (!local.rootFailed || local.isRootKeptForCertain || !local.keepsFailedRoot) continue;
      this.breach(local, 'failed in its local root, which was not exported with th:0');
    }
    const countable = locals.filter(({ probability }) => probability !== undefined);
    this.addToTotals('overall', countable);
    for (const local of countable) {
      if (local.isRepeated) continue;
      const ofService = countable.filter(({ service }) => service === local.service);
      this.addToTotals(this.services[local.service]!, ofService);
      if (local.probability! < 1) this.addToTests(local);
    }
  }

  /** At the end, of every tail. */
  check({ balanced, held, earlyDecisions, nextFailures, unreadable }: TailSamplingStats): void {
    if (!balanced || held.spans + nextFailures + unreadable > 0)
      this.breaches.push('a tail does not account for its spans');
    for (const count of Object.values(earlyDecisions)) this.earlyDecisions += count;
  }

  /** P-values: kept and not, against the probability of every service and threshold. */
  testsOfFit(): Map<string, number> {
    const tests = new Map<string, number>();
    for (const [name, { traces, kept, probability }] of this.strata) {
      const expected = traces * probability;
      if (Math.min(expected, traces - expected) < FEWEST_EXPECTED) continue;
      const cells: Cell[] = [
        [kept, expected],
        [traces - kept, traces - expected],
      ];
      tests.set(name, gTestOfFit(cells, 1));
    }
    return tests;
  }

  /** P-values: whether an error below it makes a local root kept for certain must not depend on the randomness. */
  testsOfIndependence(): Map<string, number> {
    return new Map(this.errors.map((table, index) => [`${this.services[index]} errors`, gTestOfIndependence(table)]));
  }

  private addToTotals(group: string, locals: readonly LocalRun[]): void {
    for (const [index, measure] of MEASURES.entries()) {
      let truth = 0;
      let estimate = 0;
      const atChance = [];
      for (const { sums, probability } of locals) {
        truth += sums.truth[index]!;
        estimate += sums.estimate[index]!;
        if (sums.atChance[index]! > 0) atChance.push({ count: sums.atChance[index]!, probability: probability! });
      }
      if (truth > 0) this.totals.get(`${group} ${measure}`)!.add(truth, estimate, atChance);
    }
  }

  private addToTests({
    service,
    trace,
    probability,
    hasError,
    rootFailed,
    isRootSampled,
    isRootKeptForCertain,
  }: LocalRun): void {
    const name = `${this.services[service]} at ${probability!.toPrecision(5)}`;
    let stratum = this.strata.get(name);
    if (!stratum) {
      stratum = { traces: 0, kept: 0, probability: probability! };
      this.strata.set(name, stratum);
    }
    stratum.traces++;
    if (isRootSampled) stratum.kept++;
    if (!hasError || rootFailed) return;
    const above = 1 - Number.parseInt(trace.randomness, 16) / 16 ** 14;
    const bucket = this.errors[service]![Math.min(Math.floor(-Math.log2(above)), BUCKETS - 1)]!;
    bucket[isRootKeptForCertain ? 'yes' : 'no']++;
  }

  private breach({ service, trace }: LocalRun, what: string): void {
    if (this.breaches.length < 10) this.breaches.push(`${this.services[service]}: trace ${trace.id} ${what}`);
  }
}

export interface Stratum {
  traces: number;
  kept: number;
  readonly probability: number;
}

/** The G-test's distribution is only asymptotic. */
const FEWEST_EXPECTED = 10;

/** In the order of {@link MEASURES}. */
function addTo(sums: number[], run: SpanRun, weight: number): void {
  sums[0]! += weight;
  if (run.failed) sums[1]! += weight;
  if (run.endMillis - run.startMillis > SLOW_MILLIS) sums[2]! += weight;
  if (run.isLocalRoot) sums[3]! += weight;
  if (run.local.hasError) sums[4]! += weight;
}
