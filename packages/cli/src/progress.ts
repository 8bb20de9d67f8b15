import cliProgress from 'cli-progress';
import { count, counted, duration } from './format.js';
import type { Terminal } from './terminal.js';

const LINE_INTERVAL_MILLIS = 5_000;

/** How far it has come. */
export interface Step {
  /** Of the work, from 0 to 1, where that is known. */
  readonly fraction?: number;
  /** In words. */
  readonly text: string;
  readonly leftMillis?: number | undefined;
}

/** Shown as a bar to somebody who watches, otherwise as a line every five seconds. On stderr. */
export interface Steps {
  update(step: Step): void;
  end(): void;
}

export const startSteps = (terminal: Terminal, first: Step): Steps =>
  terminal.isInteractive ? bar(terminal, first) : lines(terminal, first);

/** So many of something that is counted. */
export interface Progress {
  update(done: number): void;
  end(): void;
}

export function startProgress(terminal: Terminal, total: number, noun: string): Progress {
  const startedAt = performance.now();
  const stepAt = (done: number): Step => ({
    fraction: total > 0 ? done / total : 1,
    text: `${count(done)} of ${counted(total, noun)}`,
    // As the rest will take what these have taken.
    leftMillis: done > 0 ? ((performance.now() - startedAt) / done) * (total - done) : undefined,
  });
  const steps = startSteps(terminal, stepAt(0));
  return { update: (done) => steps.update(stepAt(Math.min(done, total))), end: () => steps.end() };
}

const BAR_PARTS = 1_000;

function bar(terminal: Terminal, first: Step): Steps {
  let step = first;
  const drawn = new cliProgress.SingleBar(
    {
      stream: terminal.stderr,
      format: (options, { progress }) => {
        const { fraction, text, leftMillis = 0 } = step;
        const left = leftMillis > 0 ? `  ${duration(leftMillis)} left` : '';
        if (fraction === undefined) return `${text}${left}`;
        return `${cliProgress.Format.BarFormat(progress, options)} ${Math.floor(fraction * 100)} %  ${text}${left}`;
      },
      barsize: 30,
      hideCursor: true,
      gracefulExit: false,
    },
    cliProgress.Presets.shades_classic,
  );
  const value = () => (step.fraction ?? 0) * BAR_PARTS;
  const clear = () => {
    drawn.stop();
    terminal.stderr.write('\u001b[A\u001b[2K');
  };
  drawn.start(BAR_PARTS, value());
  terminal.clear = () => {
    clear();
    return () => drawn.start(BAR_PARTS, value());
  };
  return {
    update: (now) => {
      step = now;
      drawn.update(value());
    },
    end: () => {
      terminal.clear = undefined;
      // What was no bar is of no interest any more.
      if (step.fraction === undefined) clear();
      else drawn.stop();
    },
  };
}

function lines(terminal: Terminal, first: Step): Steps {
  const startedAt = performance.now();
  let step = first;
  const timer = setInterval(() => {
    const { text, leftMillis } = step;
    const left = leftMillis === undefined ? '' : `, ${duration(leftMillis)} left`;
    terminal.note(`${text} after ${duration(performance.now() - startedAt)}${left}`);
  }, LINE_INTERVAL_MILLIS);
  return {
    update: (now) => {
      step = now;
    },
    end: () => clearInterval(timer),
  };
}
