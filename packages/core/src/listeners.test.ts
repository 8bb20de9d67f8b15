import { describe, expect, it, vi } from 'vitest';
import type { LimitedLog } from './limited-log.js';
import { Listeners } from './listeners.js';
import { ConfigurationError } from './options.js';

interface Events {
  readonly opened: number;
  readonly closed: string;
}

function listeners() {
  const warn = vi.fn((_kind: string, message: () => string) => message());
  return { warn, all: new Listeners<Events>('Door', ['opened', 'closed'], { warn } as unknown as LimitedLog) };
}

describe('Listeners', () => {
  it('are called in order, each as often as it was added, until it is taken away', () => {
    const { all } = listeners();
    const seen: string[] = [];
    const note = (event: number) => seen.push(`note ${event}`);
    const off = all.add('opened', note);
    all.add('opened', note);
    all.add('closed', (event) => seen.push(event));
    all.emit('opened', 1);
    off();
    off();
    all.emit('opened', 2);
    all.emit('closed', 'shut');
    expect(seen).toEqual(['note 1', 'note 1', 'note 2', 'shut']);
  });

  it('all hear of one event before any hears of the next, which one of them has caused', () => {
    const { all } = listeners();
    const seen: string[] = [];
    all.add('opened', (event) => {
      seen.push(`first ${event}`);
      if (event === 1) all.emit('opened', 2);
    });
    all.add('opened', (event) => seen.push(`second ${event}`));
    all.emit('opened', 1);
    expect(seen).toEqual(['first 1', 'second 1', 'first 2', 'second 2']);
  });

  it('that throw or reject are logged, and hurt nobody', async () => {
    const { all, warn } = listeners();
    const last = vi.fn();
    all.add('opened', () => {
      throw new Error('at once');
    });
    all.add('opened', async () => {
      throw new Error('later');
    });
    all.add('opened', last);
    all.emit('opened', 1);
    await Promise.resolve();
    expect(last).toHaveBeenCalledExactlyOnceWith(1);
    expect(warn.mock.results.map(({ value }) => value)).toEqual([
      'a opened listener failed: Error: at once',
      'a opened listener failed: Error: later',
    ]);
  });

  it('are functions, of events there are', () => {
    const { all } = listeners();
    expect(() => all.add('ajar' as never, () => {})).toThrow("Door.on: expected one of opened, closed, got 'ajar'");
    expect(() => all.add('opened', 5 as never)).toThrow(ConfigurationError);
  });
});
