import Table from 'cli-table3';
import { count, percent } from '../view/format.js';
import type { CrashResult } from './run-crash.js';

const LEGEND = `On disk: what was in the spool of the application that was killed, and what of it has not arrived.
Missing at most: what the application that was started again says of the one before, by its checkpoint.`;

export function crashTable(result: CrashResult): string {
  const { ended, received, missing, duplicates, onDisk, onDiskMissing, lostToCrash } = result;
  const table = new Table({
    head: ['ended', 'received', 'missing', 'missing\nat most', 'on disk', 'on disk,\nmissing', 'dupli-\ncates'],
    colAligns: ['right', 'right', 'right', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  });
  table.push([
    count(ended),
    `${count(received)} (${percent(received / ended)})`,
    count(missing),
    lostToCrash ? count(lostToCrash.atMost) : 'not said',
    count(onDisk),
    count(onDiskMissing),
    count(duplicates),
  ]);
  return `${table.toString()}\n${LEGEND}`;
}
