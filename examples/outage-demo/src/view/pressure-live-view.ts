import type { WriteStream } from 'node:tty';
import { styleText } from 'node:util';
import { createLogUpdate } from 'log-update';
import { LEVELS, type Level, RATIOS, rankOf } from '../level.js';
import type { PressureProgress } from '../pressure/run-pressure.js';
import type { PressureScenario } from '../pressure/scenario.js';
import { count, seconds, shortPercent } from './format.js';
import { type PressureView, reasonText } from './pressure-view.js';

type Style = Parameters<typeof styleText>[0];

const MAX_LANE_COLUMNS = 60;
const LABEL_COLUMNS = 12;
const COLUMN_MILLIS = 500;
const LEVEL_STYLES: Readonly<Record<Level, Style>> = {
  normal: 'green',
  light: 'cyan',
  moderate: 'yellow',
  heavy: 'red',
  emergency: 'magenta',
};

/** The phases, the level over time, and requests as they are beside requests as they are estimated; redrawn in place. */
export class PressureLiveView implements PressureView {
  private readonly stream: WriteStream;
  private readonly scenario: PressureScenario;
  private readonly draw: ReturnType<typeof createLogUpdate>;
  /** The level in each column of the lane. */
  private readonly past: Level[] = [];

  constructor(stream: WriteStream, scenario: PressureScenario) {
    this.stream = stream;
    this.scenario = scenario;
    this.draw = createLogUpdate(stream);
  }

  update(progress: PressureProgress): void {
    const { elapsedMillis, status } = progress;
    for (let column = this.past.length; column * COLUMN_MILLIS <= elapsedMillis; column++) this.past.push(status.level);
    this.draw(['', ...this.phases(progress), '', ...this.lanes(), '', ...this.figures(progress), ''].join('\n'));
  }

  note(line: string): void {
    this.draw.persist(line);
  }

  close(): void {
    this.draw.clear();
    this.draw.done();
  }

  private phases({ phase, elapsedMillis }: PressureProgress): string[] {
    const now = phase ? this.scenario.phases.indexOf(phase) : this.scenario.phases.length;
    return this.scenario.phases.map(({ title }, index) => {
      if (index < now) return `  ${this.paint('green', '✓')} ${title}`;
      if (index > now) return this.paint('dim', `  · ${title}`);
      return `  ${this.paint('cyan', '▶')} ${this.paint('bold', title.padEnd(28))} ${seconds(elapsedMillis)}`;
    });
  }

  /** One line for each level, the highest on top; as much of the past as there is room for. */
  private lanes(): string[] {
    const columns = Math.max(10, Math.min(MAX_LANE_COLUMNS, this.stream.columns - LABEL_COLUMNS - 12));
    const visible = this.past.slice(-columns);
    return LEVELS.toReversed().map((level) => {
      const line = visible.map((past) => {
        if (past === level) return this.paint(LEVEL_STYLES[level], '█');
        return rankOf(past) > rankOf(level) ? this.paint('dim', '░') : ' ';
      });
      return this.row(level, `${line.join('')}${' '.repeat(columns - visible.length)}  ${shortPercent(RATIOS[level])}`);
    });
  }

  private figures({ status, requests, estimate, endedSpans, receivedSpans }: PressureProgress): string[] {
    const { level, reason, ratio, queued, inFlight, spooled, balanced } = status;
    const because = reason && level !== 'normal' ? `  ${reasonText(reason)}` : '';
    return [
      this.row('level', `${this.paint(LEVEL_STYLES[level], level)}${because}`),
      this.row('ratio', shortPercent(ratio)),
      this.row('requests', count(requests)),
      this.row('estimated', `${count(Math.round(estimate.requests))} ± ${count(Math.round(estimate.standardError))}`),
      this.row('spans', `${count(endedSpans)} started, ${count(receivedSpans)} received`),
      this.row('waiting', `queue ${count(queued)}   in flight ${count(inFlight)}   spool ${count(spooled)}`),
      this.row('ledger', balanced ? this.paint('green', 'balanced') : this.paint('red', 'NOT BALANCED')),
    ];
  }

  private row(label: string, content: string): string {
    return `  ${this.paint('dim', label.padEnd(LABEL_COLUMNS))}${content}`;
  }

  private paint(style: Style, text: string): string {
    return this.stream.hasColors() ? styleText(style, text) : text;
  }
}
