export type { LifecycleAnswer } from './exporter/lifecycle.js';
export {
  type FailedStep,
  type OutcomeStep,
  type RecordedBatch,
  ScriptedBatchExporter,
  type ScriptedBatchExporterOptions,
} from './exporter/scripted-batch-exporter.js';
export {
  type ExportStep,
  type ExportStepKind,
  type RecordedExport,
  ScriptedExporter,
  type ScriptedExporterOptions,
} from './exporter/scripted-exporter.js';
export { type FakeSpanOverrides, fakeSpan, fakeSpans } from './fake-span.js';
export type { UpstreamAddress } from './proxy/connect-upstream.js';
export {
  type CutOptions,
  FaultProxy,
  type FaultProxyOptions,
  type FaultProxySnapshot,
  type LinkConditions,
} from './proxy/fault-proxy.js';
export type { Direction, ProxyMode } from './proxy/link.js';
export {
  CountingReceiver,
  type CountingReceiverOptions,
  type LoggedRequest,
  type ReceiverSnapshot,
  spanKey,
} from './receiver/counting-receiver.js';
export type { ErrorAnswer, ReceiverAnswer, RequestInfo, Respond } from './receiver/receiver-answer.js';
export { VirtualClock, type VirtualClockOptions } from './virtual-clock.js';
