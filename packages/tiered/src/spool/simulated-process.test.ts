import { FaultyDisk } from '@otel-resilience/testing';
import { expect, it } from 'vitest';
import { SimulatedMachine } from './simulated-process.test-support.js';

it('has done what it was about to do when it was killed, and does not hear of it', async () => {
  const done: string[] = [];
  let isAnswered = false;
  const disk = new FaultyDisk({
    onOperation: ({ when, operation }) => {
      if (when === 'after' && operation.kind === 'remove') process.kill();
    },
  });
  const process = new SimulatedMachine().start(disk);
  await (await process.open('/segment', 'create')).close();
  process.done = (call, path) => void done.push(`${call} ${path}`);
  void process.remove('/segment').then(() => {
    isAnswered = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(disk.contents().size).toBe(0);
  expect(done).toEqual(['remove /segment']);
  expect(isAnswered).toBe(false);
});

it('does nothing more once it was killed', async () => {
  const done: string[] = [];
  const disk = new FaultyDisk();
  const process = new SimulatedMachine().start(disk);
  process.done = (call, path) => void done.push(`${call} ${path}`);
  process.before = () => process.kill();
  void process.open('/segment', 'create');
  void process.makeDirectory('/spool');
  await new Promise((resolve) => setImmediate(resolve));
  expect(disk.operations).toEqual([]);
  expect(done).toEqual([]);
});
