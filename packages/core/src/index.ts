export {
  type AdapterStats,
  type AdaptSpanExporterOptions,
  adaptSpanExporter,
  SpanExporterAdapter,
} from './adapt-span-exporter.js';
export { type ClassifiedFailure, classifyFailure } from './classify-failure.js';
export { type Clock, settledBy, sleep, systemClock, type Timer } from './clock.js';
export { combinedOutcome } from './combined-outcome.js';
export {
  ALWAYS_NORMAL,
  DEFAULT_STRATEGIES,
  DEGRADATION_LEVELS,
  type DegradationLevel,
  type DegradationStrategy,
  isActive,
  type LevelSource,
  levelSource,
  perLevel,
  rankOf,
  startLevelSource,
} from './degradation-level.js';
export { describeError } from './describe-error.js';
export { type Environment, EnvironmentReader, warnSoon } from './environment-reader.js';
export { estimateEnvelopeBytes, estimateSpanBytes } from './estimate-span-bytes.js';
export { ExportAttempt, type ExportAttemptOptions, exportAttempt } from './export-attempt.js';
export { ExportError, type ExportErrorCode, isTimeout, toError } from './export-error.js';
export { type ExportInPartsOptions, exportInParts, type SentPart } from './export-in-parts.js';
export {
  accountedFor,
  deliveredOutcome,
  droppedOutcome,
  type ExportOutcome,
  type Failure,
  failedOutcome,
  followedBy,
  giveUp,
  rejectedOutcome,
  type SettledCounts,
  storedOutcome,
  totalDropped,
  type Unsettled,
} from './export-outcome.js';
export type { FileSystem, OpenFile } from './file-system.js';
export { HELD_SPANS, type HeldSpans, heldSpansOf } from './held-spans.js';
export { createInstruments, type Instruments, METRIC } from './instruments.js';
export { LANES, type Lane, laneOf } from './lane.js';
export { LearnedTimeout } from './learned-timeout.js';
export {
  type BatchToken,
  type DropReason,
  Ledger,
  type LedgerSnapshot,
  type SpoolDropReason,
  SpoolLedger,
  type SpoolLedgerSnapshot,
} from './ledger.js';
export { LimitedLog } from './limited-log.js';
export { isThenable, Listeners } from './listeners.js';
export { maxSpanBytes } from './max-span-bytes.js';
export {
  aClock,
  anyExporter,
  boolean,
  ConfigurationError,
  callback,
  having,
  integer,
  list,
  millis,
  number,
  type OptionReader,
  type OptionsOf,
  type OptionsSchema,
  oneOf,
  optional,
  pipelineSignals,
  positiveInteger,
  ratio,
  readOptions,
  shape,
  text,
} from './options.js';
export { decodeSpans } from './otlp/decoder.js';
export { EncodedSpans } from './otlp/encoded-spans.js';
export { encodeSpans, UnreadableSpansError } from './otlp/encoder.js';
export { SpanBatchBuilder } from './otlp/span-batch-builder.js';
export { FieldReader, LENGTH_DELIMITED, MalformedOtlpError, VARINT } from './otlp/wire.js';
export { type PipelineGauge, type PipelineGauges, PipelineSignals } from './pipeline-signals.js';
export {
  boundRetryAfter,
  MAX_RETRY_AFTER_MILLIS,
  MIN_RETRY_AFTER_MILLIS,
  parseRetryAfter,
} from './retry-after.js';
export { readRetryInfo } from './retry-info.js';
export {
  type Attributes,
  EXPORT_FAILED,
  EXPORT_SUCCESS,
  type ExportResult,
  type InstrumentationScope,
  type Link,
  type ReadableSpan,
  type Resource,
  type SpanExporter,
  type SpanProcessor,
  type TimedEvent,
} from './sdk-types.js';
export { SpanBatch } from './span-batch.js';
export {
  DEFAULT_EXPORT_TIMEOUT_MILLIS,
  DEFAULT_FLUSH_TIMEOUT_MILLIS,
  DEFAULT_SHUTDOWN_TIMEOUT_MILLIS,
  type DeadlineOptions,
  type ExportContext,
  isSpanBatchExporter,
  SPAN_BATCH_EXPORTER,
  type SpanBatchExporter,
} from './span-batch-exporter.js';
export { SpanBatchExporterBase, type SpanBatchExporterBaseOptions } from './span-batch-exporter-base.js';
export type { SpanBatchSummary, SpanHead } from './span-batch-summary.js';
export { SUPPRESSED_CONTEXT, suppressTracing } from './suppress-tracing.js';
export { patternTest, type TextPattern, textPattern } from './text-pattern.js';
