import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { CreateBucketCommand, ListMultipartUploadsCommand, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';

const START_TIMEOUT_MILLIS = 30_000;
const REGION = 'us-east-1';

interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** moto, as a process of its own: it keeps everything in memory, and checks no credentials unless it is told to. */
export class S3Server {
  readonly port: number;
  readonly admin: S3Client;
  private readonly child: ChildProcess;
  private users = 0;

  private constructor(child: ChildProcess, port: number) {
    this.child = child;
    this.port = port;
    this.admin = new S3Client(this.clientOptions());
  }

  static async start(python: string): Promise<S3Server> {
    const child = spawn(python, ['-u', '-m', 'moto.server', '-H', '127.0.0.1', '-p', '0'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let log = '';
    const port = await new Promise<number>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`moto did not start:\n${log}`)), START_TIMEOUT_MILLIS);
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        log = (log + text).slice(-10_000);
        const [, found] = /Running on http:\/\/127\.0\.0\.1:(\d+)/.exec(log) ?? [];
        if (!found) return;
        clearTimeout(timer);
        resolve(Number(found));
      });
      child.once('exit', () => reject(new Error(`moto ended:\n${log}`)));
      child.once('error', reject);
    });
    return new S3Server(child, port);
  }

  /** For a store; `port` is that of a proxy. */
  clientOptions(
    port = this.port,
    credentials: Credentials = { accessKeyId: 'test', secretAccessKey: 'test' },
  ): S3ClientConfig {
    return { endpoint: `http://127.0.0.1:${port}`, region: REGION, forcePathStyle: true, credentials };
  }

  async createBucket(name: string): Promise<void> {
    await this.admin.send(new CreateBucketCommand({ Bucket: name }));
  }

  async openUploads(bucket: string): Promise<number> {
    const { Uploads = [] } = await this.admin.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
    return Uploads.length;
  }

  /** Restores are pending until they have been looked at so often; 0: they are done at once. */
  async restoreAfterLooks(looks: number): Promise<void> {
    const transition = looks === 0 ? { progression: 'immediate' } : { progression: 'manual', times: looks };
    await this.post('/moto-api/state-manager/set-transition', { model_name: 's3::keyrestore', transition });
  }

  /** A user with credentials that may do so little; from then on, until `trustEverybody`, credentials are checked. */
  async checkCredentials(policy: object): Promise<Credentials> {
    const UserName = `archiver-${this.users++}`;
    await this.iam({ Action: 'CreateUser', UserName });
    const made = await this.iam({ Action: 'CreateAccessKey', UserName });
    const PolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement: policy });
    await this.iam({ Action: 'PutUserPolicy', UserName, PolicyName: 'p', PolicyDocument });
    await this.post('/moto-api/reset-auth', '0');
    const pick = (name: string) => new RegExp(`<${name}>(.*?)</${name}>`).exec(made)![1]!;
    return { accessKeyId: pick('AccessKeyId'), secretAccessKey: pick('SecretAccessKey') };
  }

  async trustEverybody(): Promise<void> {
    await this.post('/moto-api/reset-auth', 'Infinity');
  }

  async stop(): Promise<void> {
    this.admin.destroy();
    if (this.child.exitCode !== null) return;
    this.child.kill('SIGKILL');
    await once(this.child, 'exit');
  }

  private async iam(parameters: Record<string, string>): Promise<string> {
    const response = await fetch(`http://127.0.0.1:${this.port}/`, {
      method: 'POST',
      headers: { authorization: `AWS4-HMAC-SHA256 Credential=test/20260101/${REGION}/iam/aws4_request` },
      body: new URLSearchParams({ ...parameters, Version: '2010-05-08' }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(text);
    return text;
  }

  private async post(path: string, body: unknown): Promise<void> {
    const response = await fetch(`http://127.0.0.1:${this.port}${path}`, {
      method: 'POST',
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  }
}
