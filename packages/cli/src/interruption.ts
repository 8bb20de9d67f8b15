import type { Terminal } from './terminal.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The first signal aborts, so that a command can end as it should; the second ends the process. */
export function interruptible(terminal: Terminal): { signal: AbortSignal; end: () => void } {
  const controller = new AbortController();
  const onSignal = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) {
      process.removeListener(name, onSignal);
      process.kill(process.pid, name);
      return;
    }
    terminal.onInterruption(name);
    controller.abort(name);
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  return {
    signal: controller.signal,
    end: () => {
      for (const name of SIGNALS) process.removeListener(name, onSignal);
    },
  };
}
