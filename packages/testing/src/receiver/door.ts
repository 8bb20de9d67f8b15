import type { ReceiverAnswer } from './receiver-answer.js';

export type BodyFormat = 'protobuf' | 'json';

export interface DoorRequest {
  readonly body: Uint8Array;
  readonly format: BodyFormat;
  readonly headers: Readonly<Record<string, string>>;
}

/** Takes a request in, and says how it is to be answered, once it is time to. Never rejects. */
export type TakeIn = (request: DoorRequest) => Promise<ReceiverAnswer>;

/** One protocol's server. It reads requests, hands them over, and writes the answers. */
export interface Door {
  /** Rejects when the port is taken. Resolves with the port. */
  listen(port: number, host: string): Promise<number>;
  readonly openConnections: number;
  /** Resets every connection and stops listening. */
  close(): Promise<void>;
}
