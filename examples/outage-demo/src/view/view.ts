import type { WriteStream } from 'node:tty';
import type { Progress } from '../run-pipeline.js';
import type { PipelineName, Scenario } from '../scenario.js';
import { LiveView } from './live-view.js';
import { PlainView } from './plain-view.js';

/** Where the demo shows what is going on. */
export interface View {
  update(progress: Progress): void;
  /** The run is over; `share` of its spans arrived. */
  finished(pipeline: PipelineName, share: number): void;
  /** A line that stays. */
  note(line: string): void;
  close(): void;
}

/** Redrawn in place on a terminal, otherwise a line now and then. */
export function createView(stream: WriteStream, scenario: Scenario, pipelines: readonly PipelineName[]): View {
  return stream.isTTY ? new LiveView(stream, scenario, pipelines) : new PlainView(stream, scenario);
}
