export { CpuTrigger, type CpuTriggerOptions } from './cpu-trigger.js';
export { EventLoopTrigger, type EventLoopTriggerOptions } from './event-loop-trigger.js';
export { HeapTrigger, type HeapTriggerOptions } from './heap-trigger.js';
export { MemoryTrigger, type MemoryTriggerOptions } from './memory-trigger.js';
export type { PressureKind, PressureResource } from './pressure-source.js';
export { PressureTrigger, type PressureTriggerOptions } from './pressure-trigger.js';
export type { SampledTriggerOptions, SignalSource } from './sampled-trigger.js';
