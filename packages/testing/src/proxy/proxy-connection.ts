import type { Socket } from 'node:net';
import { resetNow } from '../reset-now.js';
import { Flow } from './flow.js';
import type { Link } from './link.js';

export interface ProxyConnectionEvents {
  /** Called once when it is time to connect; `undefined` when no upstream accepts. Never rejects. */
  connect(signal: AbortSignal): Promise<Socket | undefined>;
  onCut(): void;
  onClosed(): void;
}

/** A client's connection and, once there is one, its upstream's. */
export class ProxyConnection {
  private readonly client: Socket;
  private readonly link: Link;
  private readonly events: ProxyConnectionEvents;
  private readonly abort = new AbortController();
  private readonly flows: [Flow, Flow?];
  private state: 'waiting' | 'connecting' | 'open' | 'closed' = 'waiting';
  private upstream: Socket | undefined;
  /** One side has closed without the other being told. */
  private brokenUnsaid = false;
  /** What is sent on it vanishes for good. */
  private silent = false;

  constructor(client: Socket, link: Link, events: ProxyConnectionEvents) {
    this.client = client;
    this.link = link;
    this.events = events;
    client.on('error', () => {}); // 'close' follows
    client.on('close', () => this.onSideClosed(client));
    this.flows = [new Flow(client, 'toUpstream', link, () => this.onCut())];
    this.update();
  }

  /** Reads the link's conditions anew. */
  update(): void {
    if (this.state === 'closed') return;
    const { mode, afterBlackHole } = this.link;
    if (mode !== 'blackHole' && !this.silent && this.flows.some((flow) => flow?.lost)) {
      if (afterBlackHole === 'reset') {
        this.reset();
        return;
      }
      this.silent = true;
    }
    if (mode === 'pass' && this.brokenUnsaid) {
      this.reset();
      return;
    }
    if (mode === 'pass' && this.state === 'waiting' && !this.silent) this.connect();
    for (const flow of this.flows) flow?.update({ swallow: this.silent || mode === 'blackHole' });
  }

  /** Resets both sides. */
  reset(): void {
    if (this.state === 'closed') return;
    resetNow(this.client);
    if (this.upstream) resetNow(this.upstream);
    this.close();
  }

  private async connect(): Promise<void> {
    this.state = 'connecting';
    const upstream = await this.events.connect(this.abort.signal);
    if (this.state !== 'connecting' || !upstream || upstream.destroyed) {
      if (upstream) resetNow(upstream);
      this.reset();
      return;
    }
    this.state = 'open';
    this.upstream = upstream;
    upstream.on('close', () => this.onSideClosed(upstream));
    const [up] = this.flows;
    const down = new Flow(upstream, 'toClient', this.link, () => this.onCut());
    this.flows[1] = down;
    up.connect(upstream);
    down.connect(this.client);
    this.update();
  }

  private onCut(): void {
    this.events.onCut();
    this.reset();
  }

  private onSideClosed(side: Socket): void {
    if (this.state === 'closed') return;
    if (this.client.destroyed && (this.upstream?.destroyed ?? this.state === 'waiting')) this.close();
    else if (this.link.mode === 'blackHole' || this.link.mode === 'stall') this.brokenUnsaid = true;
    // An orderly close has been passed on by the flows, as an end in each direction.
    else if (side.errored || !side.readableEnded || !side.writableFinished) this.reset();
  }

  private close(): void {
    this.state = 'closed';
    this.abort.abort();
    for (const flow of this.flows) flow?.close();
    this.events.onClosed();
  }
}
