import cliProgress from 'cli-progress';
import { count, counted, duration } from './format.js';
import type { Terminal } from './terminal.js';

const LINE_INTERVAL_MILLIS = 5_000;

/** How far it has come: a bar for somebody who watches, otherwise a line every five seconds. On stderr. */
export interface Progress {
  update(done: number): void;
  end(): void;
}

export function startProgress(terminal: Terminal, total: number, noun: string): Progress {
  return terminal.isInteractive && total > 0 ? bar(terminal, total, noun) : lines(terminal, total, noun);
}

function bar(terminal: Terminal, total: number, noun: string): Progress {
  const drawn = new cliProgress.SingleBar(
    {
      stream: terminal.stderr,
      format: (options, { progress, value, eta }) => {
        const left = value > 0 && eta > 0 ? `  ${duration(eta * 1_000)} left` : '';
        const share = `${Math.floor(progress * 100)} %`;
        return `${cliProgress.Format.BarFormat(progress, options)} ${share}  ${count(value)} of ${counted(total, noun)}${left}`;
      },
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
    update: (done) => {
      value = Math.min(done, total);
      drawn.update(value);
    },
    end: () => {
      terminal.clear = undefined;
      drawn.stop();
    },
  };
}

function lines(terminal: Terminal, total: number, noun: string): Progress {
  const startedAt = performance.now();
  let done = 0;
  // Also what keeps the process alive while it waits: timers of the pipeline do not.
  const timer = setInterval(() => {
    const millis = performance.now() - startedAt;
    const left = done > 0 ? `, ${duration((millis / done) * (total - done))} left` : '';
    terminal.note(`${count(done)} of ${counted(total, noun)} after ${duration(millis)}${left}`);
  }, LINE_INTERVAL_MILLIS);
  return {
    update: (now) => {
      done = Math.min(now, total);
    },
    end: () => clearInterval(timer),
  };
}
