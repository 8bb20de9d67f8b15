import { Agent, request } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { spanKey } from '@otel-resilience/testing';
import type { ShopAnswer } from './processes/shop.js';

const TICK_MILLIS = 5;
const ANSWER_MILLIS = 10_000;

export interface LoadOptions {
  readonly port: number;
  readonly requestsPerSecond: number;
  /** Infinity: until `finish`. */
  readonly durationMillis: number;
}

/**
 * An open-loop client: requests leave at an even pace whether or not earlier ones have been answered, and when a tick
 * is late the next one catches up. It knows which spans ended because the answers name them.
 */
export class LoadGenerator {
  /** `spanKey` of every span that the application has ended. */
  readonly ended: Set<string> = new Set();
  private readonly options: LoadOptions;
  private readonly agent = new Agent({ keepAlive: true });
  private sent = 0;
  private open = 0;
  private answered = 0;
  private total: number;

  constructor(options: LoadOptions) {
    this.options = options;
    this.total = Math.round((options.requestsPerSecond * options.durationMillis) / 1_000);
  }

  /** Requests with an answer. */
  get answeredRequests(): number {
    return this.answered;
  }

  /** Sends no more requests; `run` resolves when those sent have been answered. */
  finish(): void {
    this.total = this.sent;
  }

  /** Requests without an answer, once `run` has resolved. Whether their spans have ended is not known. */
  get failedRequests(): number {
    return this.sent - this.answered;
  }

  /** Resolves when the last request has been answered. */
  async run(signal: AbortSignal): Promise<void> {
    const { requestsPerSecond } = this.options;
    const startedAt = performance.now();
    while (this.sent < this.total) {
      const elapsedMillis = performance.now() - startedAt;
      const due = Math.min(this.total, Math.floor((elapsedMillis * requestsPerSecond) / 1_000) + 1);
      while (this.sent < due) this.send();
      await wait(TICK_MILLIS, undefined, { signal });
    }
    const patientUntil = performance.now() + ANSWER_MILLIS;
    while (this.open > 0 && performance.now() < patientUntil) await wait(TICK_MILLIS, undefined, { signal });
    this.agent.destroy();
  }

  private send(): void {
    const { port } = this.options;
    const headers = { 'user-agent': 'outage-demo/0.1' };
    this.sent++;
    this.open++;
    request({ host: '127.0.0.1', port, method: 'POST', path: '/orders', agent: this.agent, headers }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => this.note(JSON.parse(body)));
    })
      .on('error', () => {}) // 'close' follows, and it stays unanswered
      .on('close', () => {
        this.open--;
      })
      .end();
  }

  private note({ traceId, spanIds }: ShopAnswer): void {
    this.answered++;
    for (const spanId of spanIds) this.ended.add(spanKey({ traceId, spanId }));
  }
}
