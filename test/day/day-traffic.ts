import type { ReadableSpan } from '@otel-resilience/core';
import { fakeSpan } from '@otel-resilience/testing';
import { Random } from '../invariants/unbiased/random.js';

export interface DaySpan {
  /** Numbers the spans of the day, and is in the span id. */
  readonly index: number;
  readonly traceId: string;
  readonly service: string;
  readonly startMillis: number;
  readonly endMillis: number;
  readonly isError: boolean;
}

const HOUR = 3_600_000;
/** One that has to be escaped among them. */
const SERVICES = ['checkout', 'orders', 'search', 'späte Dienste/v2'];
const OPEN_TRACES = 20;
const MEAN_TRACE_SPANS = 4;

/** An application's day: the same number of spans ends in every second of it. */
export class DayTraffic {
  /** In the order in which they ended. */
  readonly spans: readonly DaySpan[];
  readonly beginMillis: number;
  private readonly spansPerSecond: number;

  constructor(options: { seed: number; beginMillis: number; hours: number; spansPerSecond: number }) {
    const { seed, beginMillis, hours, spansPerSecond } = options;
    const random = new Random(seed);
    const open: string[] = [];
    this.beginMillis = beginMillis;
    this.spansPerSecond = spansPerSecond;
    this.spans = Array.from({ length: hours * 3_600 * spansPerSecond }, (_, index) => {
      if (open.length < OPEN_TRACES || random.chance(1 / MEAN_TRACE_SPANS)) {
        open[open.length < OPEN_TRACES ? open.length : random.integer(0, OPEN_TRACES - 1)] = random.traceId();
      }
      const endMillis = beginMillis + this.endOf(index, random);
      return {
        index,
        traceId: open[random.integer(0, open.length - 1)]!,
        service: SERVICES[random.pick([4, 3, 2, 1])]!,
        startMillis: endMillis - Math.round(durationOf(random)),
        endMillis,
        isError: random.chance(0.02),
      };
    });
  }

  /** Those that ended from then to then, the latter excluded. */
  between(fromMillis: number, toMillis: number): readonly DaySpan[] {
    const at = (millis: number) => ((millis - this.beginMillis) / 1_000) * this.spansPerSecond;
    return this.spans.slice(at(fromMillis), at(toMillis));
  }

  /** Some of them in the last millisecond of an hour, and in the first. */
  private endOf(index: number, random: Random): number {
    const millis = (index * 1_000) / this.spansPerSecond;
    const length = 1_000 / this.spansPerSecond;
    if (millis % HOUR === 0) return millis;
    if ((millis + length) % HOUR === 0) return millis + length - 1;
    return Math.floor(millis + random.unit() * (length - 1));
  }
}

export const indexOfSpan = (span: ReadableSpan): number => Number.parseInt(span.spanContext().spanId, 16) - 1;

export const toReadableSpan = ({ index, traceId, service, startMillis, endMillis, isError }: DaySpan): ReadableSpan =>
  fakeSpan({ index, traceId, serviceName: service, startMillis, durationMillis: endMillis - startMillis, isError });

/** Mostly short; one in a hundred is open for hours. */
function durationOf(random: Random): number {
  if (random.chance(0.01)) return random.unit() * 5 * HOUR;
  return random.exponential(200);
}
