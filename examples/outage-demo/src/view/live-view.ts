import type { WriteStream } from 'node:tty';
import { styleText } from 'node:util';
import { createLogUpdate } from 'log-update';
import type { Progress } from '../run-pipeline.js';
import { type CollectorName, isAlive, PIPELINES, type PipelineName, type Scenario } from '../scenario.js';
import { count, percent, seconds } from './format.js';
import type { View } from './view.js';

type Style = Parameters<typeof styleText>[0];

const MAX_LANE_COLUMNS = 60;
const LABEL_COLUMNS = 12;
const BREAKER_STYLES: Readonly<Record<string, Style>> = { closed: 'green', 'half-open': 'yellow', open: 'red' };

/** The runs so far, the time line of the faults, and what the pipeline says of itself; redrawn in place. */
export class LiveView implements View {
  private readonly stream: WriteStream;
  private readonly scenario: Scenario;
  private readonly pipelines: readonly PipelineName[];
  private readonly draw: ReturnType<typeof createLogUpdate>;
  private readonly shares = new Map<PipelineName, number>();

  constructor(stream: WriteStream, scenario: Scenario, pipelines: readonly PipelineName[]) {
    this.stream = stream;
    this.scenario = scenario;
    this.pipelines = pipelines;
    this.draw = createLogUpdate(stream);
  }

  update(progress: Progress): void {
    this.draw(
      ['', ...this.runs(progress), '', ...this.timeline(progress), '', ...this.figures(progress), ''].join('\n'),
    );
  }

  finished(pipeline: PipelineName, share: number): void {
    this.shares.set(pipeline, share);
  }

  note(line: string): void {
    this.draw.persist(line);
  }

  close(): void {
    this.draw.clear();
    this.draw.done();
  }

  private runs({ pipeline, phase, elapsedMillis }: Progress): string[] {
    return this.pipelines.map((name) => {
      const share = this.shares.get(name);
      const title = PIPELINES[name].padEnd(28);
      if (share !== undefined) {
        const arrived = this.paint(share === 1 ? 'green' : 'red', `${percent(share)} of its spans arrived`);
        return `  ${this.paint('green', '✓')} ${title} ${arrived}`;
      }
      if (name !== pipeline) return this.paint('dim', `  · ${title}`);
      const length = seconds(this.scenario.durationMillis);
      const at = phase === 'load' ? `${seconds(elapsedMillis)} of ${length}` : phase;
      return `  ${this.paint('cyan', '▶')} ${this.paint('bold', title)} ${at}`;
    });
  }

  private timeline({ elapsedMillis, collectors }: Progress): string[] {
    const { durationMillis } = this.scenario;
    const columns = Math.max(10, Math.min(MAX_LANE_COLUMNS, this.stream.columns - LABEL_COLUMNS - 12));
    const now = Math.min(columns, Math.floor((elapsedMillis / durationMillis) * columns));
    const lane = (collector: CollectorName) => {
      let line = '';
      for (let column = 0; column < columns; column++) {
        const alive = isAlive(this.scenario, collector, ((column + 0.5) / columns) * durationMillis);
        const future = column >= now;
        line += this.paint(future ? ['dim', alive ? 'green' : 'red'] : alive ? 'green' : 'red', alive ? '━' : '╳');
      }
      const state = collectors[collector].alive ? this.paint('green', 'alive') : this.paint('red', 'dead');
      return this.row(`collector ${collector}`, `${line}  ${state}`);
    };
    const bar = '█'.repeat(now) + this.paint('dim', '░'.repeat(columns - now));
    return [lane('A'), lane('B'), this.row('load', `${bar}  ${seconds(Math.min(elapsedMillis, durationMillis))}`)];
  }

  private figures({ ended, collectors, view }: Progress): string[] {
    const { A, B } = collectors;
    const rows = [
      this.row('ended', count(ended)),
      this.row('received', `${count(A.received + B.received)}  (A ${count(A.received)}, B ${count(B.received)})`),
    ];
    if (!view) return [...rows, this.row('breakers', this.paint('dim', 'none')), '', '', ''];
    const breakers = view.breakers.map(
      ({ name, state }) => `${name} ${this.paint(BREAKER_STYLES[state] ?? 'magenta', state)}`,
    );
    return [
      ...rows,
      this.row('breakers', breakers.join('   ')),
      this.row('hot tier', this.paint(view.hot === 'up' ? 'green' : 'red', view.hot)),
      this.row(
        'waiting',
        `queue ${count(view.queued)}   in flight ${count(view.inFlight)}   spool ${count(view.spooled)}`,
      ),
      this.row('ledger', view.balanced ? this.paint('green', 'balanced') : this.paint('red', 'NOT BALANCED')),
    ];
  }

  private row(label: string, content: string): string {
    return `  ${this.paint('dim', label.padEnd(LABEL_COLUMNS))}${content}`;
  }

  private paint(style: Style, text: string): string {
    return this.stream.hasColors() ? styleText(style, text) : text;
  }
}
