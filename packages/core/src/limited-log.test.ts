import { type DiagLogger, DiagLogLevel, diag } from '@opentelemetry/api';
import { VirtualClock } from '@otel-resilience/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LimitedLog } from './limited-log.js';

describe('LimitedLog', () => {
  let lines: string[];
  beforeEach(() => {
    lines = [];
    const warn = (message: string) => lines.push(message);
    const logger = { warn, error() {}, info() {}, debug() {}, verbose() {} } as DiagLogger;
    diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
    lines.length = 0;
  });
  afterEach(() => diag.disable());

  it('writes one line per kind and interval, and counts in the next what it held back', async () => {
    const clock = new VirtualClock();
    const log = new LimitedLog('Queue', { clock, intervalMillis: 10_000 });
    for (let i = 0; i < 5; i++) log.warn('full', () => `dropped span ${i}`);
    log.warn('slow', () => 'slow export');
    expect(lines).toEqual(['Queue: dropped span 0', 'Queue: slow export']);

    await clock.advance(9_999);
    log.warn('full', () => 'dropped span 5');
    expect(lines).toHaveLength(2);

    await clock.advance(1);
    log.warn('full', () => 'dropped span 6');
    expect(lines.at(-1)).toBe('Queue: dropped span 6 (and 5 more since the last line)');

    await clock.advance(10_000);
    log.warn('full', () => 'dropped span 7');
    expect(lines.at(-1)).toBe('Queue: dropped span 7');
  });

  it('does not make the message of a line that is held back', () => {
    const log = new LimitedLog('Queue', { clock: new VirtualClock() });
    let made = 0;
    for (let i = 0; i < 100; i++) log.warn('full', () => `${made++}`);
    expect(made).toBe(1);
  });
});
