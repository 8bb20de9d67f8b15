import { createServer, type Server as NetServer, type Socket } from 'node:net';
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { closeServer, listenOn, track } from '../listening.js';
import { resetNow } from '../reset-now.js';
import type { Door, TakeIn } from './door.js';
import { RESPONSE } from './otlp-descriptor.js';
import type { ErrorAnswer, ReceiverAnswer } from './receiver-answer.js';
import { retryInfoDetails } from './retry-info.js';

const INTERNAL = 13;
const asIs = (buffer: Buffer): Buffer => buffer;

const TRACE_SERVICE: ServiceDefinition = {
  Export: {
    path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
    requestStream: false,
    responseStream: false,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  },
};

/** OTLP/gRPC. The connections are accepted here and handed to grpc-js, so that one of them can be closed alone. */
export class GrpcDoor implements Door {
  private readonly takeIn: TakeIn;
  private readonly sockets = new Set<Socket>();
  private readonly listener: NetServer;
  private readonly server: Server;

  constructor(takeIn: TakeIn, maxRequestBytes: number) {
    this.takeIn = takeIn;
    this.server = new Server({ 'grpc.max_receive_message_length': maxRequestBytes, 'grpc.enable_channelz': 0 });
    this.server.addService(TRACE_SERVICE, {
      Export: (call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) => {
        this.serve(call, callback).catch((error) => callback({ code: INTERNAL, details: String(error) }));
      },
    });
    const injector = this.server.createConnectionInjector(ServerCredentials.createInsecure());
    this.listener = createServer((socket) => {
      track(this.sockets, socket);
      injector.injectConnection(socket);
    });
  }

  listen(port: number, host: string): Promise<number> {
    return listenOn(this.listener, port, host);
  }

  get openConnections(): number {
    return this.sockets.size;
  }

  close(): Promise<void> {
    const closed = closeServer(this.listener);
    for (const socket of this.sockets) resetNow(socket);
    this.server.forceShutdown();
    return closed;
  }

  private async serve(call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>): Promise<void> {
    const socket = this.socketOf(call.getPeer());
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(call.metadata.getMap())) headers[name] = value.toString();
    const answer = await this.takeIn({ body: call.request, format: 'protobuf', headers });
    if (answer.kind === 'never' || call.cancelled) return;
    if (answer.kind === 'reset') {
      if (socket) resetNow(socket);
      return;
    }
    if (answer.kind === 'error') callback(toServiceError(answer));
    else callback(null, encodeResponse(answer));
    // grpc-js hands its frames to the socket within this turn and the next.
    if (answer.thenClose) setImmediate(() => setImmediate(() => socket?.end()));
  }

  private socketOf(peer: string): Socket | undefined {
    for (const socket of this.sockets) {
      if (`${socket.remoteAddress}:${socket.remotePort}` === peer) return socket;
    }
    return undefined;
  }
}

function encodeResponse(answer: ReceiverAnswer): Buffer {
  if (answer.kind !== 'partialSuccess') return Buffer.alloc(0);
  const { rejectedSpans, errorMessage = '' } = answer;
  return Buffer.from(RESPONSE.encode({ partialSuccess: { rejectedSpans, errorMessage } }).finish());
}

function toServiceError({ status, message = '', headers = {}, retryAfterMillis }: ErrorAnswer) {
  const metadata = new Metadata();
  if (retryAfterMillis !== undefined) {
    metadata.set('grpc-status-details-bin', retryInfoDetails(status, message, retryAfterMillis));
  }
  for (const [name, value] of Object.entries(headers)) {
    metadata.set(name, name.endsWith('-bin') ? Buffer.from(value, 'base64') : value);
  }
  return { code: status, details: message, metadata };
}
