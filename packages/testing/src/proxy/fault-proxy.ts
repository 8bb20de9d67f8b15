import { createServer, type Server, type Socket } from 'node:net';
import {
  aClock,
  type Clock,
  ConfigurationError,
  callback,
  integer,
  list,
  millis,
  oneOf,
  optional,
  positiveInteger,
  readOptions,
  systemClock,
  text,
} from '@otel-resilience/core';
import { closeServer, listenOn, urlOf } from '../listening.js';
import { connectUpstream, type UpstreamAddress } from './connect-upstream.js';
import type { Direction, Link, ProxyMode } from './link.js';
import { ProxyConnection } from './proxy-connection.js';

export interface FaultProxyOptions {
  /** Where connections go: to the first that accepts, in order, decided anew for each connection. At least one. */
  readonly upstreams?: readonly UpstreamAddress[];
  /** Short for one upstream. */
  readonly upstream?: UpstreamAddress;
  /** Default 0: a free one, kept for the proxy's life. */
  readonly port?: number;
  /** Default `127.0.0.1`. */
  readonly host?: string;
  /** How long an upstream may take to accept before the next one is tried, in milliseconds. Default 1,000. */
  readonly connectTimeoutMillis?: number;
  readonly clock?: Clock;
  /** From 0 to 1, for jitter and the choice of a free port. Default `Math.random`. */
  readonly random?: () => number;
}

/** How bytes pass. What is left out stays as it is. */
export interface LinkConditions {
  /** Added in each direction, in milliseconds; a round trip takes twice as long. 0 at the start. Order is kept. */
  readonly latencyMillis?: number;
  /** Up to this much more per chunk, in milliseconds. 0 at the start. */
  readonly jitterMillis?: number;
  /** For each connection and direction; 0, as at the start, means unlimited. */
  readonly throttleBytesPerSecond?: number;
}

export interface CutOptions {
  /** Which bytes are counted. Default `toUpstream`: the request is cut; `toClient` cuts the answer. */
  readonly direction?: Direction;
  /** How many connections are cut before the rest pass. Default: all, until `heal`. */
  readonly times?: number;
}

/** State and counts, as plain data. */
export interface FaultProxySnapshot extends Required<LinkConditions> {
  readonly mode: ProxyMode;
  readonly acceptedConnections: number;
  readonly openConnections: number;
  /** Connections that no upstream accepted. They were reset. */
  readonly unconnected: number;
  /** Connections cut by `cutAfter`. */
  readonly cuts: number;
  /** Bytes handed on, in each direction. */
  readonly passedBytes: Readonly<Record<Direction, number>>;
}

const SCHEMA = {
  upstreams: optional(list(address, { min: 1 })),
  upstream: optional(address),
  port: integer({ min: 0, max: 65_535, default: 0 }),
  host: optional(text()),
  connectTimeoutMillis: millis({ default: 1_000 }),
  clock: optional(aClock),
  random: optional(callback<() => number>()),
};
const CONDITIONS = {
  latencyMillis: optional(millis({ default: 0 })),
  jitterMillis: optional(millis({ default: 0 })),
  throttleBytesPerSecond: optional(millis({ default: 0 })),
};
const CUT = {
  direction: oneOf(['toUpstream', 'toClient'], { default: 'toUpstream' }),
  times: optional(positiveInteger({ default: 1 })),
};
const BLACK_HOLE = { afterwards: oneOf(['reset', 'silent'], { default: 'reset' }) };

/**
 * A TCP proxy whose faults are set while it runs. All its methods take and return plain data, so that it can be
 * driven from another process. Bytes are never looked at: it carries HTTP, gRPC, Redis alike.
 */
export class FaultProxy {
  readonly host: string;
  private readonly upstreams: readonly UpstreamAddress[];
  private readonly connectTimeoutMillis: number;
  private readonly link: Link;
  private readonly connections = new Set<ProxyConnection>();
  private counts = { acceptedConnections: 0, unconnected: 0, cuts: 0 };
  private wantedPort: number;
  private running = false;
  private server: Server | undefined;
  private adjusting: Promise<void> = Promise.resolve();

  constructor(options: FaultProxyOptions) {
    const read = readOptions('FaultProxy', options, SCHEMA);
    if ((read.upstreams === undefined) === (read.upstream === undefined)) {
      throw new ConfigurationError('FaultProxy.upstreams', 'either upstreams or upstream', options.upstreams);
    }
    this.upstreams = read.upstreams ?? [read.upstream!];
    this.connectTimeoutMillis = read.connectTimeoutMillis;
    this.host = read.host ?? '127.0.0.1';
    this.wantedPort = read.port;
    this.link = {
      clock: read.clock ?? systemClock,
      random: read.random ?? Math.random,
      mode: 'pass',
      afterBlackHole: 'reset',
      latencyMillis: 0,
      jitterMillis: 0,
      throttleBytesPerSecond: 0,
      cut: undefined,
      passedBytes: { toUpstream: 0, toClient: 0 },
    };
  }

  /** Starts listening; resolves with `url`, rejects when the port is taken. May follow a `stop`. */
  async start(): Promise<string> {
    this.running = true;
    await this.adjustListening();
    return this.url;
  }

  /** Resets every connection and stops listening. Faults and counts stay. */
  async stop(): Promise<void> {
    this.running = false;
    this.reset();
    await this.adjustListening();
  }

  /** The port listened on, or last listened on; 0 before the first start. */
  get port(): number {
    return this.wantedPort;
  }

  /** `http://host:port`. */
  get url(): string {
    return urlOf(this);
  }

  /** Shapes how bytes pass from now on, those already waiting included. */
  set(conditions: LinkConditions): void {
    const read = readOptions('FaultProxy.set', conditions, CONDITIONS);
    const { latencyMillis, jitterMillis, throttleBytesPerSecond } = this.link;
    Object.assign(this.link, {
      latencyMillis: read.latencyMillis ?? latencyMillis,
      jitterMillis: read.jitterMillis ?? jitterMillis,
      throttleBytesPerSecond: read.throttleBytesPerSecond ?? throttleBytesPerSecond,
    });
    this.updateConnections();
  }

  /** Resets every open connection, once. */
  reset(): void {
    for (const connection of [...this.connections]) connection.reset();
  }

  /** Stops listening, so that connecting is refused, and resets every open connection. */
  async refuse(): Promise<void> {
    await this.enter('refuse');
  }

  /**
   * Connections are accepted and what is sent on them, old and new, is swallowed in both directions; no close is
   * passed on. Afterwards connections that lost bytes are reset, as by a router that has forgotten them, or, with
   * `silent`, stay open and swallow for ever: only the client's own deadline ends them.
   */
  async blackHole(options: { afterwards?: 'reset' | 'silent' } = {}): Promise<void> {
    this.link.afterBlackHole = readOptions('FaultProxy.blackHole', options, BLACK_HOLE).afterwards;
    await this.enter('blackHole');
  }

  /** Connections are accepted and nothing passes, but nothing is lost: it arrives late, after `heal`. */
  async stall(): Promise<void> {
    await this.enter('stall');
  }

  /** Resets each connection when it has passed `bytes` more: in the middle of a body, or at 0 before the first byte. */
  cutAfter(bytes: number, options: CutOptions = {}): void {
    const { direction, times = Number.POSITIVE_INFINITY } = readOptions('FaultProxy.cutAfter', options, CUT);
    const counted = integer({ min: 0, default: 0 })(bytes, 'FaultProxy.cutAfter bytes');
    this.link.cut = { bytes: counted, direction, timesLeft: times };
    this.updateConnections();
  }

  /** Ends every fault; resolves when connections are accepted again. */
  async heal(): Promise<void> {
    Object.assign(this.link, { latencyMillis: 0, jitterMillis: 0, throttleBytesPerSecond: 0, cut: undefined });
    await this.enter('pass');
  }

  snapshot(): FaultProxySnapshot {
    const { mode, latencyMillis, jitterMillis, throttleBytesPerSecond, passedBytes } = this.link;
    return {
      mode,
      latencyMillis,
      jitterMillis,
      throttleBytesPerSecond,
      ...this.counts,
      openConnections: this.connections.size,
      passedBytes: { ...passedBytes },
    };
  }

  private async enter(mode: ProxyMode): Promise<void> {
    this.link.mode = mode;
    if (mode === 'refuse') this.reset();
    else this.updateConnections();
    await this.adjustListening();
  }

  private updateConnections(): void {
    for (const connection of [...this.connections]) connection.update();
  }

  /** Makes the listening socket what it is to be now; one change at a time. */
  private adjustListening(): Promise<void> {
    const adjusted = this.adjusting.then(async () => {
      const wanted = this.running && this.link.mode !== 'refuse';
      if (wanted && !this.server) {
        const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.accept(client));
        this.wantedPort = await listenOn(server, this.wantedPort, this.host, this.link.random);
        this.server = server;
      } else if (!wanted && this.server) {
        const { server } = this;
        this.server = undefined;
        const closed = closeServer(server);
        this.reset();
        await closed;
      }
    });
    this.adjusting = adjusted.catch(() => {});
    return adjusted;
  }

  private accept(client: Socket): void {
    this.counts.acceptedConnections++;
    const { clock } = this.link;
    const connection: ProxyConnection = new ProxyConnection(client, this.link, {
      connect: async (signal) => {
        const options = { clock, timeoutMillis: this.connectTimeoutMillis, signal };
        const upstream = await connectUpstream(this.upstreams, options);
        if (!upstream && !signal.aborted) this.counts.unconnected++;
        return upstream;
      },
      onCut: () => {
        this.counts.cuts++;
      },
      onClosed: () => this.connections.delete(connection),
    });
    this.connections.add(connection);
  }
}

/** Anything with a host and a port will do, a started `CountingReceiver` too. */
function address(value: unknown, path: string): UpstreamAddress {
  const { host, port } = (value ?? {}) as Partial<UpstreamAddress>;
  const isPort = Number.isInteger(port) && port! >= 1 && port! <= 65_535;
  if (typeof host === 'string' && isPort) return { host, port: port! };
  throw new ConfigurationError(path, 'a host and a port from 1 to 65535 (is the upstream started?)', value);
}
