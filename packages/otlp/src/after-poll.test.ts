import { once } from 'node:events';
import { connect } from 'node:net';
import { type Clock, systemClock } from '@otel-resilience/core';
import { VirtualClock } from '@otel-resilience/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { afterPoll } from './after-poll.js';
import { closeAll, tcpServer } from './connection/servers.test-support.js';

afterEach(closeAll);

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('afterPoll', () => {
  it('reads what has arrived in a long turn of the event loop before its verdict', async () => {
    const server = await tcpServer((socket) => socket.on('data', () => {}));
    const socket = connect(server);
    await once(socket, 'connect');
    const [peer] = server.sockets;
    const order: string[] = [];
    const read = once(socket, 'data').then(() => order.push('bytes'));
    const verdict = new Promise<void>((resolve) => {
      afterPoll(systemClock, 10, () => {
        order.push('timeout');
        resolve();
      });
    });
    const bare = new Promise<void>((resolve) => {
      setTimeout(() => {
        order.push('bare timer');
        resolve();
      }, 10);
    });
    peer!.write('here');
    const until = performance.now() + 30;
    while (performance.now() < until);
    await Promise.all([read, verdict, bare]);
    expect(order).toEqual(['bare timer', 'bytes', 'timeout']);
    socket.destroy();
  });

  it.each([
    [0, false],
    [1, false],
    [2, true],
  ])('can be called off until the second poll (after %i: called %s)', async (polls, expected) => {
    let fire!: () => void;
    const clock: Clock = {
      ...systemClock,
      setTimeout: (callback) => {
        fire = callback;
        return {};
      },
    };
    let called = false;
    const callOff = afterPoll(clock, 100, () => {
      called = true;
    });
    fire();
    for (let poll = 0; poll < polls; poll++) await turn();
    callOff();
    for (let poll = 0; poll < 3; poll++) await turn();
    expect(called).toBe(expected);
  });

  it('leaves no timer', () => {
    const clock = new VirtualClock();
    const callOff = afterPoll(clock, 100, () => {});
    expect(clock.pendingTimers).toBe(1);
    callOff();
    expect(clock.pendingTimers).toBe(0);
  });
});
