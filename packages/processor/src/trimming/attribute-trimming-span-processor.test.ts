import { context, ROOT_CONTEXT } from '@opentelemetry/api';
import {
  ConfigurationError,
  type DegradationLevel,
  HELD_SPANS,
  heldSpansOf,
  type LevelSource,
  type ReadableSpan,
  type SpanProcessor,
} from '@otel-resilience/core';
import { fakeSpan, ScriptedBatchExporter, VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { AdaptiveBatchSpanProcessor } from '../adaptive-batch-span-processor.js';
import { AttributeTrimmingSpanProcessor } from './attribute-trimming-span-processor.js';
import type { AttributeTrimmingSpanProcessorOptions } from './options.js';

class Controller implements LevelSource {
  level: DegradationLevel = 'moderate';
  starts = 0;

  start(): void {
    this.starts++;
  }
}

class Next implements SpanProcessor {
  readonly started: unknown[][] = [];
  readonly spans: ReadableSpan[] = [];
  readonly calls: unknown[][] = [];

  onStart(...args: unknown[]): void {
    this.started.push(args);
  }

  onEnd(span: ReadableSpan): void {
    this.spans.push(span);
  }

  async forceFlush(...args: unknown[]): Promise<void> {
    this.calls.push(['forceFlush', ...args]);
  }

  async shutdown(...args: unknown[]): Promise<void> {
    this.calls.push(['shutdown', ...args]);
  }
}

function setUp(options: Partial<AttributeTrimmingSpanProcessorOptions> = {}) {
  const next = new Next();
  const controller = new Controller();
  const clock = new VirtualClock();
  const processor = new AttributeTrimmingSpanProcessor({ next, controller, clock, ...options });
  const through = (span: ReadableSpan) => {
    processor.onEnd(span);
    return next.spans.at(-1)!;
  };
  return { next, controller, processor, through };
}

const verbose = (overrides: object = {}) =>
  fakeSpan({ attributes: { 'thread.id': 1, 'app.text': 'x'.repeat(2_000) }, ...overrides });

describe('AttributeTrimmingSpanProcessor', () => {
  it('trims at the levels that ask for it, harder at the higher ones, and passes spans on untouched at the others', () => {
    const { controller, through, processor } = setUp();
    const lengths = (['normal', 'light', 'moderate', 'heavy', 'emergency'] as const).map((level) => {
      controller.level = level;
      return (through(verbose()).attributes['app.text'] as string).length;
    });
    expect(lengths).toEqual([2_000, 2_000, 256, 128, 64]);
    expect(processor.stats()).toEqual({
      level: 'emergency',
      limits: { maxValueLength: 64, maxEvents: 0 },
      trimmed: { spans: 3, attributes: 3, values: 3, events: 1 },
    });
    controller.level = 'normal';
    expect(processor.stats().limits).toBeUndefined();
    const span = verbose();
    expect(through(span)).toBe(span);
  });

  it('goes by what the controller makes of its strategy', () => {
    const { controller, through } = setUp({ maxValueLength: 5 });
    Object.assign(controller, { isActive: () => controller.level === 'light' });
    const span = verbose();
    expect(through(span)).toBe(span);
    controller.level = 'light';
    expect(through(span).attributes).toEqual({ 'app.text': 'xxxxx' });
  });

  it('spares spans in error, unless told otherwise, and such as are not sampled', () => {
    const error = verbose({ status: { code: 2 } });
    expect(setUp().through(error)).toBe(error);
    expect(setUp({ spareErrors: false }).through(error)).not.toBe(error);
    const unsampled = verbose({ traceFlags: 0 });
    expect(setUp().through(unsampled)).toBe(unsampled);
  });

  it('trims what its options say', () => {
    const { through, processor } = setUp({
      verboseAttributes: ['app.debug.*', 'thread.id'],
      keepAttributes: ['thread.*', 'app.text'],
      maxEvents: { moderate: 0 },
    });
    const attributes = { 'thread.id': 1, 'app.debug.a': 1, 'app.text': 'x'.repeat(500), 'code.line.number': 3 };
    const trimmed = through(fakeSpan({ attributes }));
    expect(trimmed.attributes).toEqual({ 'thread.id': 1, 'app.text': 'x'.repeat(500), 'code.line.number': 3 });
    expect(trimmed.events).toEqual([]);
    expect(processor.stats().limits).toEqual({ maxValueLength: 256, maxEvents: 0 });
  });

  it('forwards everything else, and has onEnding only if the next processor has', async () => {
    const { next, processor } = setUp();
    const span = {};
    processor.onStart(span, ROOT_CONTEXT);
    expect(next.started).toEqual([[span, ROOT_CONTEXT]]);
    expect(processor.onEnding).toBeUndefined();
    await processor.forceFlush({ deadline: 5 });
    await processor.shutdown({ deadline: 7 });
    expect(next.calls).toEqual([
      ['forceFlush', { deadline: 5 }],
      ['shutdown', { deadline: 7 }],
    ]);

    const ending: object[] = [];
    const withEnding = Object.assign(new Next(), { onEnding: (s: object) => ending.push(s) });
    setUp({ next: withEnding }).processor.onEnding!(span);
    expect(ending).toEqual([span]);
  });

  it('rejects with what the next processor throws at flush and shutdown, and never synchronously', async () => {
    const throws = () => {
      throw new Error('no');
    };
    const { processor } = setUp({ next: Object.assign(new Next(), { forceFlush: throws, shutdown: throws }) });
    await expect(processor.forceFlush()).rejects.toThrow('no');
    await expect(processor.shutdown()).rejects.toThrow('no');
  });

  it('keeps one ledger with the processor that holds spans and the one that has it', async () => {
    const clock = new VirtualClock();
    const exporter = new ScriptedBatchExporter({ clock });
    const batching = new AdaptiveBatchSpanProcessor({ exporter, clock });
    const { processor } = setUp({ next: batching });
    const held = heldSpansOf(processor);
    for (let i = 0; i < 3; i++) held.hold();
    held.discard(1);
    held.release(verbose());
    processor.onEnd(verbose());
    expect(batching.stats().ledger).toMatchObject({ ended: 4, held: 1, unsampled: 1, queued: 2, balanced: true });
    await clock.run(processor.forceFlush());
    const spans = exporter.exports.flatMap(({ batch }) => batch.spans());
    expect(spans.map(({ attributes }) => Object.keys(attributes))).toEqual([['app.text'], ['app.text']]);
    await clock.run(processor.shutdown());
    expect(clock.pendingTimers).toBe(0);
  });

  it('lets spans go to a stock processor by onEnd, trimmed', () => {
    const { next, processor } = setUp();
    const held = processor[HELD_SPANS];
    held.hold();
    held.discard(1);
    held.release(verbose());
    expect(next.spans.map(({ attributes }) => Object.keys(attributes))).toEqual([['app.text']]);
  });

  it('lets nothing reach span.end(), and gives the next processor a span that cannot be read as it is', () => {
    const { next, controller, processor, through } = setUp();
    const hostile = Object.defineProperty(fakeSpan(), 'attributes', {
      get() {
        throw new Error('no attributes');
      },
    });
    expect(through(hostile)).toBe(hostile);
    next.onStart = next.onEnd = () => {
      throw new Error('no');
    };
    Object.defineProperty(controller, 'level', {
      get() {
        throw new Error('no level');
      },
    });
    expect(() => {
      processor.onStart({}, context.active());
      processor.onEnd(verbose());
      processor[HELD_SPANS].release(verbose());
    }).not.toThrow();
  });

  it('starts its controller at the first span, and nothing before', () => {
    const { controller, through } = setUp();
    expect(controller.starts).toBe(0);
    through(fakeSpan());
    through(fakeSpan());
    expect(controller.starts).toBe(1);
  });

  it('starts no controller after its shutdown', async () => {
    const { controller, processor, through } = setUp();
    await processor.shutdown();
    through(fakeSpan());
    expect(controller.starts).toBe(0);
  });

  it.each([
    [{ next: {} }, 'next'],
    [{ controller: undefined }, 'controller'],
    [{ controller: { level: 'severe' } }, 'controller'],
    [{ verboseAttributes: ['a', 'b.*.c'] }, 'verboseAttributes[1]'],
    [{ verboseAttributes: 'a' }, 'verboseAttributes'],
    [{ keepAttributes: [''] }, 'keepAttributes[0]'],
    [{ maxValueLength: 0 }, 'maxValueLength'],
    [{ maxValueLength: { heavy: 1.5 } }, 'maxValueLength.heavy'],
    [{ maxValueLength: { heavy: 1, severe: 1 } }, 'maxValueLength.severe'],
    [{ maxEvents: { severe: 1 } }, 'maxEvents'],
    [{ maxEvents: -1 }, 'maxEvents'],
    [{ spareErrors: 'yes' }, 'spareErrors'],
    [{ attributes: [] }, 'attributes'],
  ])('refuses %j, naming the path', (options, path) => {
    expect(() => setUp(options as never)).toThrow(ConfigurationError);
    expect(() => setUp(options as never)).toThrow(`AttributeTrimmingSpanProcessor.${path}: expected`);
  });
});
