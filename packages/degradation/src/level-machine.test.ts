import { describe, expect, it } from 'vitest';
import { LevelMachine } from './level-machine.js';

const CALM = { asked: 0, calm: true };
const ASKS = (asked: number) => ({ asked, calm: false });

describe('the level machine', () => {
  it('rises at once, by as many levels as asked, and never beyond emergency', () => {
    const machine = new LevelMachine(100);
    expect([machine.decide(0, ASKS(2)), machine.level]).toEqual(['raised', 'moderate']);
    expect([machine.decide(0, ASKS(9)), machine.level]).toEqual(['raised', 'emergency']);
    expect(machine.decide(0, ASKS(4))).toBeUndefined();
  });

  it('goes down one level per interval, counted from the last move either way', () => {
    const machine = new LevelMachine(100);
    machine.decide(0, ASKS(1));
    machine.decide(50, ASKS(3));
    expect([machine.decide(149, CALM), machine.recoveryDueAt(149)]).toEqual([undefined, 150]);
    expect([machine.decide(150, CALM), machine.decide(151, CALM), machine.level]).toEqual([
      'recovered',
      undefined,
      'moderate',
    ]);
    expect(machine.recoveryDueAt(151)).toBe(250);
  });

  it('stays while somebody is not calm, though nobody asks for as much', () => {
    const machine = new LevelMachine(100);
    machine.decide(0, ASKS(3));
    expect([machine.decide(1_000, ASKS(0)), machine.decide(1_000, ASKS(2)), machine.rank]).toEqual([
      undefined,
      undefined,
      3,
    ]);
  });

  it('begins the interval anew when time goes back', () => {
    const machine = new LevelMachine(100);
    machine.decide(1e9, ASKS(1));
    expect([machine.decide(0, CALM), machine.decide(99, CALM), machine.decide(100, CALM)]).toEqual([
      undefined,
      undefined,
      'recovered',
    ]);
    expect(machine.recoveryDueAt(100)).toBe(Number.POSITIVE_INFINITY);
  });
});
