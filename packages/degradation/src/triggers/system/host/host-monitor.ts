import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { type Clock, systemClock, toError } from '@otel-resilience/core';
import { HOST_WORKER_CODE } from './host-worker-code.js';
import { moduleLocations } from './module-locations.js';

export type HostResource = 'cpu' | 'memory';

/** Used of what there is: memory in bytes, CPU time in milliseconds as totals that only ever grow. */
export interface HostReading {
  readonly used: number;
  readonly capacity: number;
}

/** A part in the monitor: the worker runs while anybody has one. */
export interface HostLease {
  /** The totals of the CPU when the lease was taken. */
  readonly cpuBefore: HostReading;
  sample(resource: HostResource): Promise<HostReading>;
  release(): void;
}

export interface HostMonitorOptions {
  /** Files or directories from which `systeminformation` is looked for, in this order. */
  readonly resolveFrom?: readonly string[];
  readonly clock?: Clock;
}

interface Waiting {
  readonly resource: HostResource;
  resolve(reading: HostReading): void;
  reject(error: Error): void;
}

type Answer = { readonly id: number } & (HostReading | { readonly error: string });

// As for every part that is started anew when it fails: at most once in this time.
const RESTART_INTERVAL_MILLIS = 60_000;

// What `systeminformation` needs, several times over; the default would be that of the application.
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2, codeRangeSizeMb: 8, stackSizeMb: 1 };

/**
 * Host CPU and memory through `systeminformation` in one worker thread for the whole process, which never keeps the
 * process alive and runs none of the application's hooks.
 */
export class HostMonitor {
  private readonly resolveFrom: readonly string[] | undefined;
  private readonly clock: Clock;
  private readonly waiting = new Map<number, Waiting>();
  private worker: Worker | undefined;
  private startedAt = Number.NEGATIVE_INFINITY;
  private failure: Error | undefined;
  private cpu: HostReading = { used: 0, capacity: 0 };
  private cpuAtWorkerStart = this.cpu;
  private leases = 0;
  private nextId = 0;

  constructor({ resolveFrom, clock = systemClock }: HostMonitorOptions = {}) {
    this.resolveFrom = resolveFrom;
    this.clock = clock;
  }

  lease(): HostLease {
    this.leases++;
    let open = true;
    return {
      cpuBefore: this.cpu,
      sample: (resource) => (open ? this.sample(resource) : Promise.reject(new Error('released'))),
      release: () => {
        if (!open) return;
        open = false;
        this.leases--;
        if (this.leases === 0) this.stop();
      },
    };
  }

  private sample(resource: HostResource): Promise<HostReading> {
    return new Promise((resolve, reject) => {
      const worker = this.running();
      const id = this.nextId++;
      this.waiting.set(id, { resource, resolve, reject });
      worker.postMessage({ id, resource });
    });
  }

  private running(): Worker {
    if (this.worker) return this.worker;
    const isTooEarly = this.clock.now() - this.startedAt < RESTART_INTERVAL_MILLIS;
    if (this.failure && isTooEarly) throw this.failure;
    this.startedAt = this.clock.now();
    try {
      const worker = startWorker(this.resolveFrom ?? moduleLocations());
      worker.on('message', (answer: Answer) => this.settle(answer));
      worker.on('error', (error) => this.failed(worker, toError(error)));
      worker.on('exit', (code) => this.failed(worker, new Error(`the worker thread ended with code ${code}`)));
      worker.unref();
      this.worker = worker;
      this.cpuAtWorkerStart = this.cpu;
      return worker;
    } catch (thrown) {
      const error = toError(thrown);
      const isDenied = 'code' in error && error.code === 'ERR_ACCESS_DENIED';
      this.failure = isDenied ? new Error(`${error.message}; node needs --allow-worker`, { cause: error }) : error;
      throw this.failure;
    }
  }

  private settle(answer: Answer): void {
    const waiting = this.waiting.get(answer.id);
    this.waiting.delete(answer.id);
    if (!waiting) return;
    if ('error' in answer) waiting.reject(new Error(answer.error));
    else if (!(answer.used >= 0 && answer.capacity >= answer.used)) {
      waiting.reject(new Error(`systeminformation: ${answer.used} used of ${answer.capacity}`));
    } else waiting.resolve(waiting.resource === 'cpu' ? this.addCpu(answer) : answer);
  }

  private addCpu({ used, capacity }: HostReading): HostReading {
    const { used: usedBefore, capacity: capacityBefore } = this.cpuAtWorkerStart;
    this.cpu = { used: usedBefore + used, capacity: capacityBefore + capacity };
    return this.cpu;
  }

  private failed(worker: Worker, error: Error): void {
    if (this.worker !== worker) return;
    this.worker = undefined;
    this.failure = error;
    this.rejectAll(error);
  }

  private stop(): void {
    const worker = this.worker;
    this.worker = undefined;
    this.failure = undefined;
    this.rejectAll(new Error('stopped'));
    void worker?.terminate();
  }

  private rejectAll(error: Error): void {
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }
}

/** The one that all triggers share. */
export const hostMonitor = new HostMonitor();

function startWorker(resolveFrom: readonly string[]): Worker {
  // Neither `--import` on the command line nor in NODE_OPTIONS: the application's hooks have no business there.
  const { NODE_OPTIONS: _, ...env } = process.env;
  return new Worker(HOST_WORKER_CODE, {
    eval: true,
    execArgv: [],
    env,
    name: 'otel-resilience-host',
    resourceLimits: RESOURCE_LIMITS,
    workerData: { resolveFrom: resolveFrom.map((path) => join(path, 'noop.js')) },
  });
}
