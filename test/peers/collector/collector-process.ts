import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type CollectorSettings, collectorConfig } from './collector-config.js';
import { type FiledMetric, type FiledSpans, readMetrics, readSpans } from './exported-files.js';

export type Protocol = 'grpc' | 'http/protobuf';

const LOG_TIMEOUT_MILLIS = 15_000;

/** A real Collector, which may live several times: at the same addresses, each time with a file of its own. */
export class CollectorProcess {
  private readonly binary: string;
  private readonly folder: string;
  private readonly ports: readonly [grpc: number, http: number];
  private readonly lives: Array<{ readonly traces: string; readonly metrics: string }> = [];
  private child: ChildProcess | undefined;
  private secure = false;
  private log = '';

  constructor(binary: string, folder: string, ports: readonly [grpc: number, http: number]) {
    this.binary = binary;
    this.folder = folder;
    this.ports = ports;
  }

  urlOf(protocol: Protocol): string {
    return `${this.secure ? 'https' : 'http'}://127.0.0.1:${this.portOf(protocol)}`;
  }

  portOf(protocol: Protocol): number {
    return this.ports[protocol === 'grpc' ? 0 : 1];
  }

  /** Begins a life. Resolves when the Collector says that it is ready. */
  async start(settings: CollectorSettings = {}): Promise<void> {
    const life = this.lives.length + 1;
    // New files each time: a killed Collector may leave a torn line, and the next one would go on writing behind it.
    const files = {
      traces: join(this.folder, `traces-${life}.jsonl`),
      metrics: join(this.folder, `metrics-${life}.jsonl`),
    };
    this.lives.push(files);
    this.secure = settings.tls !== undefined;
    const config = join(this.folder, `config-${life}.yaml`);
    writeFileSync(config, collectorConfig(this.ports, files, settings));
    this.log = '';
    const child = spawn(this.binary, ['--config', config], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.child = child;
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.log += text;
    });
    await this.logged('Everything is ready');
  }

  /** Resolves when the Collector has logged the text in its present life, so often. */
  async logged(text: string, times = 1): Promise<void> {
    const child = this.child!;
    let error: Error | undefined;
    child.once('error', (thrown) => {
      error = thrown;
    });
    const deadline = performance.now() + LOG_TIMEOUT_MILLIS;
    while (this.log.split(text).length <= times) {
      const late = performance.now() > deadline;
      if (error || late || child.exitCode !== null) {
        throw new Error(`the Collector ${late ? 'did not say' : 'ended before it said'} '${text}':\n${this.log}`, {
          cause: error,
        });
      }
      await wait(5);
    }
  }

  /** Sends a signal; of one that ends it, also waits for the end. */
  async signal(signal: 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    const { child } = this;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = signal === 'SIGKILL' || signal === 'SIGTERM' ? once(child, 'exit') : undefined;
    child.kill(signal);
    await ended;
  }

  /** The spans it wrote, in all its lives. */
  spans(): FiledSpans {
    return readSpans(this.lives.map(({ traces }) => traces));
  }

  /** The metrics it wrote, in all its lives, in the order in which they came. */
  metrics(): FiledMetric[] {
    return readMetrics(this.lives.map(({ metrics }) => metrics));
  }
}

// Linux gives outgoing connections 32768 to 60999, others the range from 49152: below, nobody else gets the port while
// the Collector is dead, and no client that tries it again and again ends up connected to itself.
const LOWEST_PORT = 10_000;
const HIGHEST_PORT = 32_000;

export async function freePort(): Promise<number> {
  for (;;) {
    const port = LOWEST_PORT + Math.floor(Math.random() * (HIGHEST_PORT - LOWEST_PORT));
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    await new Promise((resolve) => server.close(resolve));
    if (free) return port;
  }
}
