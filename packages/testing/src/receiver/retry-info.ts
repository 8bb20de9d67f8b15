import protobuf from 'protobufjs/light.js';

const TYPES = protobuf.Root.fromJSON({
  nested: {
    Status: {
      fields: {
        code: { type: 'int32', id: 1 },
        message: { type: 'string', id: 2 },
        details: { rule: 'repeated', type: 'Any', id: 3 },
      },
    },
    Any: { fields: { typeUrl: { type: 'string', id: 1 }, value: { type: 'bytes', id: 2 } } },
    RetryInfo: { fields: { retryDelay: { type: 'Duration', id: 1 } } },
    Duration: { fields: { seconds: { type: 'int64', id: 1 }, nanos: { type: 'int32', id: 2 } } },
  },
});
const STATUS = TYPES.lookupType('Status');
const RETRY_INFO = TYPES.lookupType('RetryInfo');

/** A `google.rpc.Status` with a `google.rpc.RetryInfo`: what gRPC servers put into `grpc-status-details-bin`. */
export function retryInfoDetails(code: number, message: string, retryAfterMillis: number): Buffer {
  const seconds = Math.trunc(retryAfterMillis / 1000);
  const nanos = Math.round((retryAfterMillis - seconds * 1000) * 1e6);
  const value = RETRY_INFO.encode({ retryDelay: { seconds, nanos } }).finish();
  const details = [{ typeUrl: 'type.googleapis.com/google.rpc.RetryInfo', value }];
  return Buffer.from(STATUS.encode({ code, message, details }).finish());
}
