import { FaultProxy } from '@otel-resilience/testing';
import { S3ObjectStore, type S3ObjectStoreOptions } from '@otel-resilience/tiered/s3';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { S3Server } from './s3-server.js';

/** For the tests of a suite: one server, and for each test a bucket of its own, reached through a proxy. */
export class S3Bed {
  server!: S3Server;
  proxy!: FaultProxy;
  bucket = '';
  private buckets = 0;
  private readonly stores: S3ObjectStore[] = [];

  constructor(python: string, name: string) {
    beforeAll(async () => {
      this.server = await S3Server.start(python);
    });
    afterAll(() => this.server.stop());
    beforeEach(async () => {
      this.bucket = `${name}-${this.buckets++}`;
      await this.server.createBucket(this.bucket);
      this.proxy = new FaultProxy({ upstream: { host: '127.0.0.1', port: this.server.port } });
      await this.proxy.start();
    });
    afterEach(async () => {
      await this.proxy.stop();
      await Promise.all(this.stores.splice(0).map((store) => store.shutdown({ deadline: 0 })));
    });
  }

  /** Shut down after the test. */
  makeStore = (options: Partial<S3ObjectStoreOptions> = {}): S3ObjectStore => {
    const clientOptions = options.client ? undefined : this.server.clientOptions(this.proxy.port);
    const store = new S3ObjectStore({ bucket: this.bucket, clientOptions, ...options });
    this.stores.push(store);
    return store;
  };
}
