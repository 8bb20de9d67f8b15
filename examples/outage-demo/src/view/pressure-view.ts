import type { WriteStream } from 'node:tty';
import type { PressureProgress } from '../pressure/run-pressure.js';
import type { PressureScenario } from '../pressure/scenario.js';
import type { Reason } from '../pressure/transition.js';
import { shortDecimal } from './format.js';
import { PressureLiveView } from './pressure-live-view.js';
import { PressurePlainView } from './pressure-plain-view.js';

/** Where the second act shows what is going on. */
export interface PressureView {
  update(progress: PressureProgress): void;
  /** A line that stays. */
  note(line: string): void;
  close(): void;
}

/** Redrawn in place on a terminal, otherwise a line per second. */
export function createPressureView(stream: WriteStream, scenario: PressureScenario): PressureView {
  return stream.isTTY ? new PressureLiveView(stream, scenario) : new PressurePlainView(stream);
}

export const reasonText = ({ trigger, value, threshold }: Reason): string =>
  `${trigger} ${shortDecimal(value)} ≥ ${shortDecimal(threshold)}`;
