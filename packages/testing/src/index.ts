export type { DiskError } from './disk/disk-error.js';
export type { DiskFault } from './disk/disk-faults.js';
export type { DiskOperation, DiskOperationKind } from './disk/disk-operation.js';
export { type CrashOptions, type DiskMoment, FaultyDisk, type FaultyDiskOptions } from './disk/faulty-disk.js';
export type { Keep, PendingChange } from './disk/survival.js';
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
export { CountingReceiver, type CountingReceiverOptions } from './receiver/counting-receiver.js';
export { spanKey } from './receiver/decode-request.js';
export type { LoggedRequest, ReceiverSnapshot } from './receiver/receipts.js';
export type { ReceivedAttributes, ReceivedEvent, ReceivedLink, ReceivedSpan } from './receiver/received-span.js';
export type { ErrorAnswer, ReceiverAnswer, RequestInfo, Respond } from './receiver/receiver-answer.js';
export type { SpanOutline } from './receiver/span-outline.js';
export { VirtualClock, type VirtualClockOptions } from './virtual-clock.js';
