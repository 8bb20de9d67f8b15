import type { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { VirtualClock } from '@otel-resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConnectionPool, type PooledConnection } from './connection-pool.js';

/** As much of a socket as a pool touches. */
class FakeSocket extends PassThrough {
  referenced = true;
  ref() {
    this.referenced = true;
  }
  unref() {
    this.referenced = false;
  }
}

function fakePool(size: number) {
  const clock = new VirtualClock();
  const sockets: FakeSocket[] = [];
  const openings: { succeed: () => FakeSocket; fail: () => void }[] = [];
  const pool = new ConnectionPool({
    size,
    clock,
    open: () =>
      new Promise((resolve, reject) => {
        openings.push({
          succeed: () => {
            const socket = new FakeSocket();
            sockets.push(socket);
            resolve(socket as unknown as Socket);
            return socket;
          },
          fail: () => reject(new Error('refused')),
        });
      }),
  });
  const open = () => sockets.filter((socket) => !socket.destroyed);
  return { pool, clock, openings, sockets, open };
}

const never = () => new AbortController().signal;
const settle = () => new Promise((resolve) => setImmediate(resolve));

async function connected(fake: ReturnType<typeof fakePool>): Promise<PooledConnection> {
  const acquiring = fake.pool.acquire(never());
  await settle();
  fake.openings.shift()!.succeed();
  return acquiring;
}

describe('ConnectionPool', () => {
  it('takes the connection used last first, so that the others get old', async () => {
    const fake = fakePool(3);
    const [a, b] = [await connected(fake), await connected(fake)];
    fake.pool.release(a.socket, 1_000);
    await fake.clock.advance(600);
    fake.pool.release(b.socket, 1_000);
    for (let i = 0; i < 3; i++) {
      const again = await fake.pool.acquire(never());
      expect(again).toEqual({ socket: b.socket, reused: true });
      fake.pool.release(again.socket, 1_000);
    }
    await fake.clock.advance(400);
    expect(fake.open()).toEqual([b.socket]);
    await fake.clock.advance(600);
    expect(fake.open()).toEqual([]);
    expect(fake.clock.pendingTimers).toBe(0);
  });

  it('is not kept longer than it may, even if the timer is late', async () => {
    const fake = fakePool(1);
    const { socket } = await connected(fake);
    fake.pool.release(socket, 5_000);
    const again = await fake.pool.acquire(never());
    await fake.clock.advance(4_000);
    fake.pool.release(again.socket, 1_500);
    await fake.clock.advance(1_500);
    expect(socket.destroyed).toBe(true);
    expect(fake.clock.pendingTimers).toBe(0);
  });

  it('references a connection only while it is in use', async () => {
    const fake = fakePool(1);
    const { socket } = await connected(fake);
    const { referenced } = fake.sockets[0]!;
    fake.pool.release(socket, 1_000);
    expect([referenced, fake.sockets[0]!.referenced]).toEqual([true, false]);
    await fake.pool.acquire(never());
    expect(fake.sockets[0]!.referenced).toBe(true);
  });

  it('does not hand out a connection that has just been ended', async () => {
    const fake = fakePool(1);
    const { socket } = await connected(fake);
    fake.pool.release(socket, 1_000);
    socket.end();
    const acquiring = fake.pool.acquire(never());
    expect(socket.destroyed).toBe(true);
    await settle();
    fake.openings.shift()!.succeed();
    expect((await acquiring).reused).toBe(false);
  });

  it('keeps nothing after a shutdown, whatever is still in use then', async () => {
    const fake = fakePool(2);
    const [a, b] = [await connected(fake), await connected(fake)];
    fake.pool.release(a.socket, 1_000);
    fake.pool.shutdown();
    expect(fake.open()).toEqual([b.socket]);
    fake.pool.release(b.socket, 1_000);
    expect(fake.open()).toEqual([]);
    expect(fake.clock.pendingTimers).toBe(0);
    await expect(fake.pool.acquire(never())).rejects.toMatchObject({ code: 'SHUTDOWN' });
  });

  it('in any order of events: never too many, in line first come first served, and nobody is forgotten', async () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('acquire', 'acquire', 'succeed', 'fail') }) },
      {
        weight: 3,
        arbitrary: fc.record({ kind: fc.constantFrom('abort', 'lose', 'keep', 'close'), which: fc.nat(9) }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait'), millis: fc.integer({ min: 1, max: 1_500 }) }) },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3 }),
        fc.array(step, { maxLength: 60, size: 'max' }),
        async (size, steps) => {
          const fake = fakePool(size);
          const held: PooledConnection[] = [];
          const asked: { id: number; controller: AbortController; open: boolean }[] = [];
          const served: number[] = [];
          const take = <T>(list: T[], which: number): T | undefined => list.splice(which % (list.length || 1), 1)[0];
          const act = async ({ kind, which = 0, millis = 0 }: { kind: string; which?: number; millis?: number }) => {
            switch (kind) {
              case 'acquire': {
                const asking = { id: asked.length, controller: new AbortController(), open: true };
                asked.push(asking);
                const end = () => {
                  asking.open = false;
                };
                fake.pool.acquire(asking.controller.signal).then((connection) => {
                  if (connection.reused) served.push(asking.id);
                  held.push(connection);
                  end();
                }, end);
                break;
              }
              case 'succeed':
              case 'fail':
                fake.openings.shift()?.[kind]();
                break;
              case 'abort':
                asked[which % (asked.length || 1)]?.controller.abort();
                break;
              case 'lose':
                fake.sockets[which % (fake.sockets.length || 1)]?.destroy();
                break;
              case 'wait':
                await fake.clock.advance(millis);
                break;
              default: {
                const connection = take(held, which);
                if (connection) fake.pool.release(connection.socket, kind === 'keep' ? 1_000 : 0);
              }
            }
          };
          for (const step of steps) {
            await act(step);
            await settle();
            expect(fake.open().length + fake.openings.length).toBeLessThanOrEqual(size);
          }
          expect(served).toEqual([...served].sort((a, b) => a - b));
          // Everybody gets an answer once those who hold something give it back.
          for (let turn = 0; turn < 200 && asked.some(({ open }) => open); turn++) {
            fake.openings.shift()?.succeed();
            const connection = held.shift();
            if (connection) fake.pool.release(connection.socket, 1_000);
            await settle();
          }
          expect(asked.filter(({ open }) => open)).toEqual([]);
          for (const { socket } of held) fake.pool.release(socket, 1_000);
          fake.pool.shutdown();
          expect(fake.open()).toEqual([]);
          expect(fake.clock.pendingTimers).toBe(0);
        },
      ),
      { numRuns: 200 },
    );
  });
});
