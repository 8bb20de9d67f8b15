export {
  CountingReceiver,
  type CountingReceiverOptions,
  type LoggedRequest,
  type ReceiverSnapshot,
  spanKey,
} from './receiver/counting-receiver.js';
export type { ErrorAnswer, ReceiverAnswer, RequestInfo, Respond } from './receiver/receiver-answer.js';
export { VirtualClock, type VirtualClockOptions } from './virtual-clock.js';
