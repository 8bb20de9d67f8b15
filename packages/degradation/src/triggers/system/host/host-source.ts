import type { SampleSource } from '../sample-source.js';
import { ShareWindow } from '../share-window.js';
import type { HostLease, HostMonitor, HostReading } from './host-monitor.js';

/** CPU time of the host that was used since the last read, in percent of all its CPUs. */
export class HostCpuSource implements SampleSource {
  private readonly lease: HostLease;
  private readonly window = new ShareWindow();
  private previous: HostReading;

  constructor(monitor: HostMonitor) {
    this.lease = monitor.lease();
    this.previous = this.lease.cpuBefore;
  }

  async sample(): Promise<void> {
    const reading = await this.lease.sample('cpu');
    this.window.add(reading.used - this.previous.used, reading.capacity - this.previous.capacity);
    this.previous = reading;
  }

  read(): number | undefined {
    const share = this.window.read();
    return share === undefined ? undefined : 100 * share;
  }

  close(): void {
    this.lease.release();
  }
}

/** Memory of the host that is in use, in percent: total − available. */
export class HostMemorySource implements SampleSource {
  private readonly lease: HostLease;
  private percent: number | undefined;

  constructor(monitor: HostMonitor) {
    this.lease = monitor.lease();
  }

  async sample(): Promise<void> {
    const { used, capacity } = await this.lease.sample('memory');
    if (!(capacity > 0)) throw new Error('systeminformation: no memory');
    this.percent = (100 * used) / capacity;
  }

  read(): number | undefined {
    return this.percent;
  }

  close(): void {
    this.lease.release();
  }
}
