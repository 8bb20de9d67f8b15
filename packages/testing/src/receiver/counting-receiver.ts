import {
  type Clock,
  integer,
  oneOf,
  optional,
  positiveInteger,
  readOptions,
  systemClock,
  type Timer,
  text,
} from '@otel-resilience/core';
import { Script } from '../script.js';
import { decodeSpanKeys } from './decode-ids.js';
import type { Door, DoorRequest } from './door.js';
import { GrpcDoor } from './grpc-door.js';
import { HttpDoor } from './http-door.js';
import { type ReceiverAnswer, type Respond, receivedCount, SUCCESS } from './receiver-answer.js';

export interface CountingReceiverOptions {
  /** Default `grpc`. */
  readonly protocol?: 'grpc' | 'http/protobuf';
  /** Default 0: a free one, kept when the receiver is stopped and started again. */
  readonly port?: number;
  /** Default `127.0.0.1`. */
  readonly host?: string;
  /** Largest request taken, in bytes, after decompression. Default 4 MiB for gRPC, 20 MiB for HTTP: the Collector's. */
  readonly maxRequestBytes?: number;
  /** How many requests are remembered in `log`, the latest ones. Default 1,000. */
  readonly maxLoggedRequests?: number;
  /** Times the log and the answers' delays. */
  readonly clock?: Clock;
}

/** One request as the receiver saw it. */
export interface LoggedRequest {
  readonly index: number;
  /** By the clock's `now()`, in milliseconds. */
  readonly at: number;
  readonly spanCount: number;
  /** Of the decoded body, in bytes. */
  readonly byteLength: number;
  readonly answer: ReceiverAnswer;
}

/** Counts, as plain data. */
export interface ReceiverSnapshot {
  readonly requests: number;
  /** Spans counted as received, duplicates included. */
  readonly receivedSpans: number;
  readonly uniqueSpans: number;
  /** Receipts of a span that had been received before. */
  readonly duplicates: number;
  /** Spans that came and were not counted as received, by the script of answers. */
  readonly refusedSpans: number;
  /** Requests that were no OTLP; they are answered 400 or INVALID_ARGUMENT, whatever the script says. */
  readonly malformedRequests: number;
}

const SCHEMA = {
  protocol: oneOf(['grpc', 'http/protobuf'], { default: 'grpc' }),
  port: integer({ min: 0, max: 65_535, default: 0 }),
  host: optional(text()),
  maxRequestBytes: optional(positiveInteger({ default: 0 })),
  maxLoggedRequests: integer({ min: 0, default: 1_000 }),
  clock: optional<Clock>(),
};

/**
 * An OTLP trace receiver that counts. It keeps the id of every span it has received, decoded by a protobuf library
 * that shares nothing with the senders under test, and answers as its script says.
 */
export class CountingReceiver {
  readonly protocol: 'grpc' | 'http/protobuf';
  readonly host: string;
  private readonly maxRequestBytes: number;
  private readonly maxLoggedRequests: number;
  private readonly clock: Clock;
  private wantedPort: number;
  private door: Door | undefined;
  private readonly pendingAnswers = new Map<Timer, () => void>();

  private readonly keys = new Set<string>();
  private readonly requestLog: LoggedRequest[] = [];
  private counts = { requests: 0, receivedSpans: 0, refusedSpans: 0, malformedRequests: 0 };
  private readonly steps = new Script<Respond>([], SUCCESS);

  constructor(options: CountingReceiverOptions = {}) {
    const read = readOptions('CountingReceiver', options, SCHEMA);
    this.protocol = read.protocol;
    this.host = read.host ?? '127.0.0.1';
    this.wantedPort = read.port;
    this.maxRequestBytes = read.maxRequestBytes ?? (read.protocol === 'grpc' ? 4 : 20) * 1024 * 1024;
    this.maxLoggedRequests = read.maxLoggedRequests;
    this.clock = read.clock ?? systemClock;
  }

  /** Starts listening; resolves with `url`, rejects when the port is taken. May follow a `stop`. */
  async start(): Promise<string> {
    if (!this.door) {
      const makeDoor = this.protocol === 'grpc' ? GrpcDoor : HttpDoor;
      const door = new makeDoor((request) => this.takeIn(request), this.maxRequestBytes);
      this.wantedPort = await door.listen(this.wantedPort, this.host);
      this.door = door;
    }
    return this.url;
  }

  /** Resets every connection and stops listening. Counts stay. */
  async stop(): Promise<void> {
    const { door } = this;
    this.door = undefined;
    for (const [timer, answerNow] of this.pendingAnswers) {
      this.clock.clearTimeout(timer);
      answerNow();
    }
    this.pendingAnswers.clear();
    await door?.close();
  }

  /** The port listened on, or last listened on; 0 before the first start. */
  get port(): number {
    return this.wantedPort;
  }

  /** `http://host:port`: what `OTEL_EXPORTER_OTLP_ENDPOINT` takes, and the stock gRPC exporter's `url`. */
  get url(): string {
    return `http://${this.host}:${this.port}`;
  }

  /** What a stock exporter's `url` option takes: over HTTP with the path. */
  get tracesUrl(): string {
    return this.protocol === 'grpc' ? this.url : `${this.url}/v1/traces`;
  }

  /** `spanKey` of every span received. Grows until `clear`. */
  get spanIds(): ReadonlySet<string> {
    return this.keys;
  }

  /** Spans counted as received, duplicates included. */
  get receivedSpans(): number {
    return this.counts.receivedSpans;
  }

  /** Receipts of a span that had been received before. */
  get duplicates(): number {
    return this.counts.receivedSpans - this.keys.size;
  }

  get requests(): number {
    return this.counts.requests;
  }

  /** The latest requests, oldest first; at most `maxLoggedRequests`. */
  get log(): readonly LoggedRequest[] {
    return this.requestLog;
  }

  /** Answers every request from now on this way, the script's remaining steps first. Without argument: success. */
  respond(answer: Respond = SUCCESS): void {
    this.steps.stand(answer);
  }

  /** Replaces the script: one step per request; after the last one the standing answer is given. */
  script(steps: readonly Respond[]): void {
    this.steps.replace(steps);
  }

  snapshot(): ReceiverSnapshot {
    return { ...this.counts, uniqueSpans: this.keys.size, duplicates: this.duplicates };
  }

  /** Forgets ids, counts and log; the script stays. */
  clear(): void {
    this.keys.clear();
    this.requestLog.length = 0;
    this.counts = { requests: 0, receivedSpans: 0, refusedSpans: 0, malformedRequests: 0 };
  }

  private async takeIn({ body, format, headers }: DoorRequest): Promise<ReceiverAnswer> {
    const index = this.counts.requests++;
    let ids: string[];
    try {
      ids = decodeSpanKeys(body, format);
    } catch (thrown) {
      this.counts.malformedRequests++;
      return { kind: 'error', status: this.protocol === 'grpc' ? 3 : 400, message: String(thrown) };
    }
    const step = this.steps.next();
    const { byteLength } = body;
    const answer = typeof step === 'function' ? step({ index, spanCount: ids.length, byteLength, headers }) : step;
    const received = receivedCount(answer, ids.length);
    for (let i = 0; i < received; i++) this.keys.add(ids[i]!);
    this.counts.receivedSpans += received;
    this.counts.refusedSpans += ids.length - received;
    this.logRequest({ index, at: this.clock.now(), spanCount: ids.length, byteLength, answer });
    if (answer.delayMillis) await this.wait(answer.delayMillis);
    return answer;
  }

  private wait(delayMillis: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.clock.setTimeout(() => {
        this.pendingAnswers.delete(timer);
        resolve();
      }, delayMillis);
      this.pendingAnswers.set(timer, resolve);
    });
  }

  private logRequest(request: LoggedRequest): void {
    this.requestLog.push(request);
    if (this.requestLog.length > this.maxLoggedRequests) this.requestLog.shift();
  }
}

/** The key under which a span is counted: its trace id and span id, as one hex string. */
export function spanKey({ traceId, spanId }: { readonly traceId: string; readonly spanId: string }): string {
  return traceId + spanId;
}
