import {
  aClock,
  boolean,
  type Clock,
  ConfigurationError,
  integer,
  oneOf,
  optional,
  positiveInteger,
  readOptions,
  systemClock,
  type Timer,
  text,
} from '@otel-resilience/core';
import { urlOf } from '../listening.js';
import { Script, step } from '../script.js';
import { type DecodedRequest, decodeRequest, type SpanDetail } from './decode-request.js';
import type { Door, DoorRequest } from './door.js';
import { GrpcDoor } from './grpc-door.js';
import { HttpDoor } from './http-door.js';
import { type LoggedRequest, Receipts, type ReceiverSnapshot } from './receipts.js';
import type { ReceivedSpan } from './received-span.js';
import {
  ANSWER_KINDS,
  type ReceiverAnswer,
  type RequestInfo,
  type Respond,
  receivedCount,
  SUCCESS,
} from './receiver-answer.js';
import type { SpanOutline } from './span-outline.js';

// gRPC status codes
const INVALID_ARGUMENT = 3;
const INTERNAL = 13;

export interface CountingReceiverOptions {
  /** Default `grpc`. */
  readonly protocol?: 'grpc' | 'http/protobuf';
  /** Default 0: a free one, kept when the receiver is stopped and started again. */
  readonly port?: number;
  /** Default `127.0.0.1`. */
  readonly host?: string;
  /** Largest request taken, in bytes, after decompression. Default 4 MiB for gRPC, 20 MiB for HTTP: the Collector's. */
  readonly maxRequestBytes?: number;
  /** Decodes whole spans and keeps them in `spans`. Default false: ids only, which is thirty times cheaper. */
  readonly keepSpans?: boolean;
  /** Decodes what sampling needs of each span and keeps it in `outlines`. Not together with `keepSpans`. Default false. */
  readonly keepOutlines?: boolean;
  /** How many `spans` or `outlines` are kept, the first ones; all are counted. Default 1,000,000. */
  readonly maxKeptSpans?: number;
  /** How many requests are remembered in `log`, the latest ones. Default 1,000. */
  readonly maxLoggedRequests?: number;
  /** Times the log and the answers' delays. */
  readonly clock?: Clock;
}

const SCHEMA = {
  protocol: oneOf(['grpc', 'http/protobuf'], { default: 'grpc' }),
  port: integer({ min: 0, max: 65_535, default: 0 }),
  host: optional(text()),
  maxRequestBytes: optional(positiveInteger({ default: 0 })),
  keepSpans: boolean({ default: false }),
  keepOutlines: boolean({ default: false }),
  maxKeptSpans: integer({ min: 0, default: 1_000_000 }),
  maxLoggedRequests: integer({ min: 0, default: 1_000 }),
  clock: optional(aClock),
};

/**
 * An OTLP trace receiver that counts. It keeps the id of every span it has received, decoded by a protobuf library
 * that shares nothing with the senders under test, and answers as its script says. Counting ids it bears 100,000 spans a
 * second on a third of a core, compressed on half of one.
 */
export class CountingReceiver {
  readonly protocol: 'grpc' | 'http/protobuf';
  readonly host: string;
  private readonly maxRequestBytes: number;
  private readonly detail: SpanDetail;
  private readonly clock: Clock;
  private wantedPort: number;
  private door: Door | undefined;
  private opening: Promise<Door> | undefined;
  private readonly pendingAnswers = new Map<Timer, () => void>();

  private readonly receipts: Receipts;
  private readonly steps = new Script<Respond>(SUCCESS, step({ kinds: ANSWER_KINDS, words: [] }), 'CountingReceiver');

  constructor(options: CountingReceiverOptions = {}) {
    const read = readOptions('CountingReceiver', options, SCHEMA);
    this.protocol = read.protocol;
    this.host = read.host ?? '127.0.0.1';
    this.wantedPort = read.port;
    this.maxRequestBytes = read.maxRequestBytes ?? (read.protocol === 'grpc' ? 4 : 20) * 1024 * 1024;
    if (read.keepSpans && read.keepOutlines) {
      throw new ConfigurationError('CountingReceiver.keepOutlines', 'either keepSpans or keepOutlines', 'both');
    }
    this.detail = read.keepSpans ? 'spans' : read.keepOutlines ? 'outlines' : 'ids';
    this.clock = read.clock ?? systemClock;
    this.receipts = new Receipts(this.clock, read);
  }

  /** Starts listening; resolves with `url`, rejects when the port is taken. May follow a `stop`. */
  async start(): Promise<string> {
    this.opening ??= this.open();
    try {
      await this.opening;
    } catch (error) {
      this.opening = undefined;
      throw error;
    }
    return this.url;
  }

  /** Resets every connection and stops listening. Counts stay. */
  async stop(): Promise<void> {
    const { opening } = this;
    this.opening = undefined;
    this.door = undefined;
    for (const [timer, answerNow] of this.pendingAnswers) {
      this.clock.clearTimeout(timer);
      answerNow();
    }
    this.pendingAnswers.clear();
    await (await opening)?.close();
  }

  /** The port listened on, or last listened on; 0 before the first start. */
  get port(): number {
    return this.wantedPort;
  }

  /** `http://host:port`: what `OTEL_EXPORTER_OTLP_ENDPOINT` takes, and the stock gRPC exporter's `url`. */
  get url(): string {
    return urlOf(this);
  }

  /** What a stock exporter's `url` option takes: over HTTP with the path. */
  get tracesUrl(): string {
    return this.protocol === 'grpc' ? this.url : `${this.url}/v1/traces`;
  }

  /** `spanKey` of every span received. Grows until `clear`. */
  get spanIds(): ReadonlySet<string> {
    return this.receipts.unique.keys;
  }

  /** Every span received, in order and duplicates included, when `keepSpans` is set; at most `maxKeptSpans`. */
  get spans(): readonly ReceivedSpan[] {
    return this.receipts.spans;
  }

  /** Likewise, when `keepOutlines` is set. */
  get outlines(): readonly SpanOutline[] {
    return this.receipts.outlines;
  }

  /** Spans counted as received, duplicates included. */
  get receivedSpans(): number {
    return this.snapshot().receivedSpans;
  }

  /** Receipts of a span that had been received before. */
  get duplicates(): number {
    return this.snapshot().duplicates;
  }

  get requests(): number {
    return this.snapshot().requests;
  }

  /** Connections that are open now. */
  get openConnections(): number {
    return this.door?.openConnections ?? 0;
  }

  /** The latest requests, oldest first; at most `maxLoggedRequests`. */
  get log(): readonly LoggedRequest[] {
    return this.receipts.log;
  }

  snapshot(): ReceiverSnapshot {
    return this.receipts.snapshot();
  }

  /** Forgets ids, spans, counts and log; the script stays. */
  clear(): void {
    this.receipts.clear();
  }

  /** Resolves when `count` different spans have been received, rejects when it takes too long (default 5 s). */
  waitForSpans(count: number, timeoutMillis = 5_000): Promise<void> {
    return this.receipts.waitFor(count, timeoutMillis);
  }

  /** Answers every request from now on this way, the script's remaining steps first. Without argument: success. */
  respond(answer: Respond = SUCCESS): void {
    this.steps.stand(answer);
  }

  /** Replaces the script: one step per request; after the last one the standing answer is given. */
  script(steps: readonly Respond[]): void {
    this.steps.replace(steps);
  }

  private async open(): Promise<Door> {
    const makeDoor = this.protocol === 'grpc' ? GrpcDoor : HttpDoor;
    const door = new makeDoor((request) => this.takeIn(request), this.maxRequestBytes);
    this.wantedPort = await door.listen(this.wantedPort, this.host);
    this.door = door;
    return door;
  }

  private async takeIn(request: DoorRequest): Promise<ReceiverAnswer> {
    const index = this.receipts.countRequest();
    const { byteLength } = request.body;
    const at = this.clock.now();
    let decoded: DecodedRequest;
    try {
      decoded = decodeRequest(request, this.detail);
    } catch (thrown) {
      this.receipts.countMalformed();
      return { kind: 'error', status: this.protocol === 'grpc' ? INVALID_ARGUMENT : 400, message: String(thrown) };
    }
    const { spanCount } = decoded;
    const answer = this.answerTo({ index, spanCount, byteLength, headers: request.headers });
    this.receipts.add({ index, at, spanCount, byteLength, answer }, decoded, receivedCount(answer, spanCount));
    if (answer.delayMillis) await this.wait(answer.delayMillis);
    return answer;
  }

  private answerTo(info: RequestInfo): ReceiverAnswer {
    const respond = this.steps.next();
    if (typeof respond !== 'function') return respond;
    try {
      return respond(info);
    } catch (thrown) {
      return { kind: 'error', status: this.protocol === 'grpc' ? INTERNAL : 500, message: `respond: ${thrown}` };
    }
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
}
