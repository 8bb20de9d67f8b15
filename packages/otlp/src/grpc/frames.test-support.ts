import { createServer, type Socket } from 'node:net';
import { type Listening, listening } from '../connection/servers.test-support.js';

export const FRAME = { data: 0, headers: 1, rstStream: 3, settings: 4, ping: 6, goaway: 7, windowUpdate: 8 } as const;
export const FLAG = { endStream: 1, ack: 1, endHeaders: 4 } as const;
export const SETTING = { maxConcurrentStreams: 3, initialWindowSize: 4 } as const;

const PREFACE_BYTES = 24; // PRI * HTTP/2.0 …

export type HeaderList = readonly (readonly [string, string])[];

export const RESPONSE: HeaderList = [
  [':status', '200'],
  ['content-type', 'application/grpc'],
];
export const OK: HeaderList = [['grpc-status', '0']];

export interface RawServerOptions {
  /** Undefined: never sends SETTINGS. */
  readonly settings?: readonly (readonly [number, number])[];
  /** Default: answers PINGs. */
  readonly pong?: boolean;
  /** Default: opens the flow-control windows for what has come. */
  readonly windows?: boolean;
  /** The whole request has come. */
  onRequest?(stream: RawStream): void;
  /** Its headers have come. */
  onHeaders?(stream: RawStream): void;
  onConnection?(connection: RawConnection): void;
}

/** An HTTP/2 server whose frames are written by hand, so that they may be wrong. */
export class RawServer {
  readonly host = '127.0.0.1';
  readonly connections: RawConnection[] = [];
  readonly options: RawServerOptions;
  private place!: Listening;

  private constructor(options: RawServerOptions) {
    this.options = options;
  }

  static async start(options: RawServerOptions = {}): Promise<RawServer> {
    const server = new RawServer({ settings: [], ...options });
    const onSocket = (socket: Socket) => {
      const connection = new RawConnection(socket, server.options);
      server.connections.push(connection);
      server.options.onConnection?.(connection);
    };
    server.place = await listening(createServer({ noDelay: true }, onSocket));
    return server;
  }

  get port(): number {
    return this.place.port;
  }

  get openConnections(): number {
    return this.place.sockets.size;
  }

  get streams(): readonly RawStream[] {
    return this.connections.flatMap((connection) => [...connection.streams.values()]);
  }

  get pings(): number {
    return this.connections.reduce((sum, connection) => sum + connection.pings, 0);
  }
}

export class RawConnection {
  readonly socket: Socket;
  readonly streams = new Map<number, RawStream>();
  pings = 0;
  /** The code of the client's GOAWAY. */
  goawayWith: number | undefined;
  private readonly options: RawServerOptions;
  private unread: Buffer = Buffer.alloc(0);
  /** The client's preface has come. */
  greeted = false;
  /** The client has taken our SETTINGS in. */
  settled = false;

  constructor(socket: Socket, options: RawServerOptions) {
    this.socket = socket;
    this.options = options;
    if (options.settings) this.settings(options.settings);
    socket.on('data', (bytes: Buffer) => this.take(bytes));
  }

  frame(type: number, flags: number, streamId: number, payload: Uint8Array = new Uint8Array()): void {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.byteLength, 0, 3);
    head[3] = type;
    head[4] = flags;
    head.writeUInt32BE(streamId, 5);
    if (this.socket.writable) this.socket.write(Buffer.concat([head, payload]));
  }

  settings(settings: readonly (readonly [number, number])[]): void {
    const payload = Buffer.alloc(settings.length * 6);
    settings.forEach(([id, value], index) => {
      payload.writeUInt16BE(id, index * 6);
      payload.writeUInt32BE(value, index * 6 + 2);
    });
    this.frame(FRAME.settings, 0, 0, payload);
  }

  goaway(lastStreamId: number, code = 0, debug = ''): void {
    const payload = Buffer.alloc(8);
    payload.writeUInt32BE(lastStreamId, 0);
    payload.writeUInt32BE(code, 4);
    this.frame(FRAME.goaway, 0, 0, Buffer.concat([payload, Buffer.from(debug)]));
  }

  reset(): void {
    // A socket that has ended and is reset never emits 'close'.
    if (this.socket.writableEnded) this.socket.destroy();
    else this.socket.resetAndDestroy();
  }

  windowUpdate(streamId: number, bytes: number): void {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(bytes);
    this.frame(FRAME.windowUpdate, 0, streamId, payload);
  }

  private take(bytes: Buffer): void {
    this.unread = Buffer.concat([this.unread, bytes]);
    if (!this.greeted) {
      if (this.unread.byteLength < PREFACE_BYTES) return;
      this.unread = this.unread.subarray(PREFACE_BYTES);
      this.greeted = true;
    }
    while (this.unread.byteLength >= 9) {
      const length = this.unread.readUIntBE(0, 3);
      if (this.unread.byteLength < 9 + length) return;
      const [type, flags, id] = [this.unread[3]!, this.unread[4]!, this.unread.readUInt32BE(5)];
      const payload = this.unread.subarray(9, 9 + length);
      this.unread = this.unread.subarray(9 + length);
      this.takeFrame(type, flags, id, payload);
    }
  }

  private takeFrame(type: number, flags: number, id: number, payload: Buffer): void {
    const { pong = true, windows = true, onHeaders, onRequest } = this.options;
    const ends = (flags & FLAG.endStream) !== 0;
    if (type === FRAME.settings && flags & FLAG.ack) this.settled = true;
    if (type === FRAME.settings && !(flags & FLAG.ack) && this.options.settings)
      this.frame(FRAME.settings, FLAG.ack, 0);
    if (type === FRAME.ping && !(flags & FLAG.ack)) {
      this.pings++;
      if (pong) this.frame(FRAME.ping, FLAG.ack, 0, payload);
    }
    if (type === FRAME.goaway) this.goawayWith = payload.readUInt32BE(4);
    if (type === FRAME.headers) {
      const stream = new RawStream(this, id);
      this.streams.set(id, stream);
      onHeaders?.(stream);
    }
    const stream = this.streams.get(id);
    if (!stream) return;
    if (type === FRAME.rstStream) stream.resetWith = payload.readUInt32BE(0);
    if (type === FRAME.data && payload.byteLength > 0) {
      stream.body.push(payload);
      if (windows) {
        this.windowUpdate(0, payload.byteLength);
        this.windowUpdate(id, payload.byteLength);
      }
    }
    if (ends && (type === FRAME.data || type === FRAME.headers)) {
      stream.ended = true;
      onRequest?.(stream);
    }
  }
}

export class RawStream {
  readonly connection: RawConnection;
  readonly id: number;
  readonly body: Buffer[] = [];
  /** The client has sent all of it. */
  ended = false;
  /** The code of the client's RST_STREAM. */
  resetWith: number | undefined;

  constructor(connection: RawConnection, id: number) {
    this.connection = connection;
    this.id = id;
  }

  headers(list: HeaderList, { endStream = false } = {}): this {
    const flags = FLAG.endHeaders | (endStream ? FLAG.endStream : 0);
    this.connection.frame(FRAME.headers, flags, this.id, Buffer.concat(list.map(literal)));
    return this;
  }

  data(bytes: Uint8Array, { endStream = false } = {}): this {
    this.connection.frame(FRAME.data, endStream ? FLAG.endStream : 0, this.id, bytes);
    return this;
  }

  reset(code: number): this {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(code);
    this.connection.frame(FRAME.rstStream, 0, this.id, payload);
    return this;
  }

  /** What a gRPC server says when all is well. */
  accept(message: Uint8Array = new Uint8Array()): this {
    return this.headers(RESPONSE).data(framed(message)).headers(OK, { endStream: true });
  }
}

/** A message with its prefix, whose length and flag may be wrong. */
export function framed(message: Uint8Array, { length = message.byteLength, flag = 0 } = {}): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, message]);
}

/** HPACK: a literal field that enters no table, with strings as they are. */
function literal([name, value]: readonly [string, string]): Buffer {
  return Buffer.concat([Buffer.from([0]), hpackString(name), hpackString(value)]);
}

function hpackString(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  const length = [];
  let rest = bytes.byteLength;
  if (rest < 127) length.push(rest);
  else {
    length.push(127);
    for (rest -= 127; rest >= 128; rest >>>= 7) length.push((rest & 127) | 128);
    length.push(rest);
  }
  return Buffer.concat([Buffer.from(length), bytes]);
}
