export type { UpstreamAddress } from './proxy/connect-upstream.js';
export {
  type CutOptions,
  FaultProxy,
  type FaultProxyOptions,
  type FaultProxySnapshot,
  type LinkConditions,
} from './proxy/fault-proxy.js';
export {
  CountingReceiver,
  type CountingReceiverOptions,
  type LoggedRequest,
  type ReceiverSnapshot,
  spanKey,
} from './receiver/counting-receiver.js';
export type { ErrorAnswer, ReceiverAnswer, RequestInfo, Respond } from './receiver/receiver-answer.js';
export { VirtualClock, type VirtualClockOptions } from './virtual-clock.js';
