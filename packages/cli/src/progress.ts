import cliProgress from 'cli-progress';
import { count, counted, duration } from './format.js';
import type { Terminal } from './terminal.js';

const LINE_INTERVAL_MILLIS = 5_000;

/** How far it has come: a bar for somebody who watches, otherwise a line every five seconds. On stderr. */
export interface Progress {
  update(spans: number): void;
  end(): void;
}

export function startProgress(terminal: Terminal, total: number): Progress {
  return terminal.isInteractive ? bar(terminal, total) : lines(terminal, total);
}

function bar(terminal: Terminal, total: number): Progress {
  const drawn = new cliProgress.SingleBar(
    {
      stream: terminal.stderr,
      format: '{bar} {percentage} %  {value} of {total} spans  {eta_formatted} left',
      formatValue: (value, _options, type) => (type === 'value' || type === 'total' ? count(value) : String(value)),
      formatTime: (seconds) => duration(seconds * 1_000),
      barsize: 30,
      etaBuffer: 50,
      hideCursor: true,
      gracefulExit: false,
    },
    cliProgress.Presets.shades_classic,
  );
  drawn.start(total, 0);
  let value = 0;
  terminal.clear = () => {
    drawn.stop();
    terminal.stderr.write('\u001b[A\u001b[2K');
    return () => drawn.start(total, value);
  };
  return {
    update: (spans) => {
      value = Math.min(spans, total);
      drawn.update(value);
    },
    end: () => {
      terminal.clear = undefined;
      drawn.stop();
    },
  };
}

function lines(terminal: Terminal, total: number): Progress {
  const startedAt = performance.now();
  let spans = 0;
  // Also what keeps the process alive while it waits: timers of the pipeline do not.
  const timer = setInterval(() => {
    const millis = performance.now() - startedAt;
    const left = spans > 0 ? `, ${duration((millis / spans) * (total - spans))} left` : '';
    terminal.note(`${count(spans)} of ${counted(total, 'span')} after ${duration(millis)}${left}`);
  }, LINE_INTERVAL_MILLIS);
  return {
    update: (now) => {
      spans = Math.min(now, total);
    },
    end: () => clearInterval(timer),
  };
}
