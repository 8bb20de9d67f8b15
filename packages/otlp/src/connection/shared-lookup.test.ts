import dns from 'node:dns';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { cleanUp, echo, echoes, failure, open } from './open-socket.test-support.js';
import { tcpServer } from './servers.test-support.js';

type Answer = (error: Error | null, addresses?: dns.LookupAddress[]) => void;

/** A resolver that answers when the test says so. A server that is to listen needs the real one. */
function slowResolver() {
  const asked: { hostname: string; answer: Answer }[] = [];
  const lookup = (hostname: string, _: unknown, answer: Answer) => void asked.push({ hostname, answer });
  vi.spyOn(dns, 'lookup').mockImplementation(lookup as never);
  return asked;
}

const HOME = [{ address: '127.0.0.1', family: 4 }];

afterEach(async () => {
  vi.restoreAllMocks();
  await cleanUp();
});

describe('a name that takes longer than the connect timeout', () => {
  it('is looked up once, however many attempts are abandoned meanwhile', async () => {
    const { port } = await tcpServer(echo);
    const asked = slowResolver();
    for (let attempt = 0; attempt < 6; attempt++) {
      const error = await failure({ host: 'slow.test', port }, { connectTimeoutMillis: 5 });
      expect(error).toMatchObject({ code: 'ETIMEDOUT' });
    }
    expect(asked.length).toBe(1);
    const waiting = open({ host: 'slow.test', port });
    await new Promise((resolve) => setImmediate(resolve));
    asked[0]!.answer(null, HOME);
    expect(await echoes(await waiting)).toBe(true);
    expect(asked.length).toBe(1);
  });

  it('is shared by proxies, and not by other names', async () => {
    const asked = slowResolver();
    const target = { host: 'slow.test', port: 3128 };
    const short = { connectTimeoutMillis: 5 };
    const collector = { host: 'collector.test', port: 4317 };
    await failure(target, short);
    await failure(collector, { ...short, proxy: { target, secure: false } });
    await failure(collector, short);
    expect(asked.map(({ hostname }) => hostname)).toEqual(['slow.test', 'collector.test']);
    for (const { answer } of asked) answer(new Error('over'));
  });

  it('is looked up anew once there is an answer, a failure as well', async () => {
    const { port } = await tcpServer(echo);
    const asked = slowResolver();
    const failing = [1, 2].map(() => failure({ host: 'moved.test', port }));
    await vi.waitFor(() => expect(asked.length).toBe(1));
    asked[0]!.answer(Object.assign(new Error('try again'), { code: 'EAI_AGAIN' }));
    for (const error of await Promise.all(failing)) expect(error).toMatchObject({ code: 'EAI_AGAIN' });
    for (const count of [2, 3]) {
      const opening = open({ host: 'moved.test', port });
      await vi.waitFor(() => expect(asked.length).toBe(count));
      asked[count - 1]!.answer(null, HOME);
      expect(await echoes(await opening)).toBe(true);
    }
  });
});
