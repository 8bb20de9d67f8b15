// The clients of an application, in a process of their own.
import { Agent, get } from 'node:http';
import autocannon from 'autocannon';
import { answer } from './processes.mjs';

const agent = new Agent({ keepAlive: true, maxSockets: 1_000 });
const sleep = (millis) => new Promise((resolve) => setTimeout(resolve, millis));
let number = 0;

/** Resolves with how long it took, in milliseconds. */
function request(url) {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    const sent = get(`${url}${number++}`, { agent }, (response) => {
      response.resume();
      response.on('end', () => {
        if (response.statusCode === 200) resolve(performance.now() - startedAt);
        else reject(new Error(`status ${response.statusCode}`));
      });
    });
    sent.on('error', reject);
  });
}

answer({
  /** As many requests as the application answers, over a fixed number of connections. */
  async saturate({ url, connections, seconds }) {
    const { requests, errors, non2xx } = await autocannon({ url: `${url}1`, connections, duration: seconds });
    if (errors + non2xx > 0) throw new Error(`${errors} errors, ${non2xx} bad answers`);
    return { perSecond: requests.total / seconds };
  },
  /**
   * An open loop: requests come at random moments, `rate` a second on average, and none waits for the answer to another
   * (autocannon's own rate is a closed loop that sends each second's share as fast as it can). Latencies in milliseconds.
   */
  async openLoop({ url, rate, seconds }) {
    const pending = [];
    const startedAt = performance.now();
    let due = 0;
    while (due < seconds * 1_000) {
      const now = performance.now() - startedAt;
      for (; due <= now; due += (-Math.log(1 - Math.random()) * 1_000) / rate) pending.push(request(url));
      await sleep(1);
    }
    const millis = (await Promise.all(pending)).sort((a, b) => a - b);
    const percentile = (share) => millis[Math.min(millis.length - 1, Math.floor(share * millis.length))];
    const mean = millis.reduce((sum, value) => sum + value, 0) / millis.length;
    return { requests: millis.length, mean, p50: percentile(0.5), p99: percentile(0.99), p999: percentile(0.999) };
  },
});
