import type { PressureProgress } from '../pressure/run-pressure.js';
import { count, seconds, shortPercent } from './format.js';
import { type PressureView, reasonText } from './pressure-view.js';

const INTERVAL_MILLIS = 1_000;

/** A line per second, and whenever the phase or the level changes. */
export class PressurePlainView implements PressureView {
  private readonly stream: NodeJS.WritableStream;
  private last = { at: 0, about: '' };

  constructor(stream: NodeJS.WritableStream) {
    this.stream = stream;
  }

  update(progress: PressureProgress): void {
    const now = performance.now();
    const about = `${progress.phase?.name} ${progress.status.level}`;
    if (about === this.last.about && now - this.last.at < INTERVAL_MILLIS) return;
    this.last = { at: now, about };
    this.note(describe(progress));
  }

  note(line: string): void {
    this.stream.write(`${line}\n`);
  }

  close(): void {}
}

function describe({ phase, elapsedMillis, status, requests, estimate, receivedSpans }: PressureProgress): string {
  const { level, reason, ratio, balanced } = status;
  const parts = [
    seconds(elapsedMillis),
    phase?.title ?? 'shutdown',
    reason && level !== 'normal' ? `level ${level} (${reasonText(reason)})` : `level ${level}`,
    `ratio ${shortPercent(ratio)}`,
    `requests ${count(requests)}`,
    `estimated ${count(Math.round(estimate.requests))} ± ${count(Math.round(estimate.standardError))}`,
    `received ${count(receivedSpans)} spans`,
    balanced ? 'balanced' : 'NOT BALANCED',
  ];
  return `pressure: ${parts.join(' | ')}`;
}
