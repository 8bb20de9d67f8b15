import type { Progress } from '../run-pipeline.js';
import { PIPELINES, type PipelineName, type Scenario } from '../scenario.js';
import { count, percent, seconds } from './format.js';
import type { View } from './view.js';

const INTERVAL_MILLIS = 5_000;

/** A line every 5 s, and whenever a collector dies or returns. */
export class PlainView implements View {
  private readonly stream: NodeJS.WritableStream;
  private readonly scenario: Scenario;
  private last: { readonly at: number; readonly about: string } = { at: 0, about: '' };

  constructor(stream: NodeJS.WritableStream, scenario: Scenario) {
    this.stream = stream;
    this.scenario = scenario;
  }

  update(progress: Progress): void {
    const { pipeline, phase, collectors } = progress;
    const now = performance.now();
    const about = [pipeline, phase, collectors.A.alive, collectors.B.alive].join();
    if (!this.last.about.startsWith(`${pipeline},`)) this.note(`${pipeline}: ${PIPELINES[pipeline]}`);
    if (about === this.last.about && now - this.last.at < INTERVAL_MILLIS) return;
    this.last = { at: now, about };
    this.note(this.describe(progress));
  }

  finished(pipeline: PipelineName, share: number): void {
    this.note(`${pipeline}: ${percent(share)} of its spans arrived`);
  }

  note(line: string): void {
    this.stream.write(`${line}\n`);
  }

  close(): void {}

  private describe({ pipeline, phase, elapsedMillis, ended, collectors, view }: Progress): string {
    const { A, B } = collectors;
    const parts = [
      `${seconds(elapsedMillis)} of ${seconds(this.scenario.durationMillis)}`,
      phase,
      `ended ${count(ended)}`,
      `A ${A.alive ? 'alive' : 'DEAD'}, received ${count(A.received)}`,
      `B ${B.alive ? 'alive' : 'DEAD'}, received ${count(B.received)}`,
    ];
    if (view) {
      const breakers = view.breakers.map(({ name, state }) => `${name} ${state}`).join(', ');
      parts.push(
        `breakers: ${breakers}`,
        `hot ${view.hot}`,
        `queue ${count(view.queued)}, in flight ${count(view.inFlight)}, spool ${count(view.spooled)}`,
        view.balanced ? 'balanced' : 'NOT BALANCED',
      );
    }
    return `${pipeline}: ${parts.join(' | ')}`;
  }
}
