import type { Attributes, Context, Link, SpanKind, TraceState } from '@opentelemetry/api';
import { ConfigurationError, type OptionReader } from '@otel-resilience/core';
import { hexOfBigInt, NEVER, ZERO } from './threshold.js';

export type SamplerArguments = [
  context: Context,
  traceId: string,
  spanName: string,
  spanKind: SpanKind,
  attributes: Attributes,
  links: Link[],
];

/** The SDK's `Sampler`, of both majors. */
export interface Sampler {
  shouldSample(...args: SamplerArguments): {
    readonly decision: number;
    readonly attributes?: Readonly<Attributes>;
    readonly traceState?: TraceState;
  };
  toString(): string;
}

/** As in `@opentelemetry/sampler-composite`: one that says its threshold rather than its decision. */
export interface ComposableSampler {
  getSamplingIntent(...args: SamplerArguments): {
    /** 0 keeps everything; what is negative, or 2^56 and more, nothing. */
    readonly threshold: bigint;
    /** Whether it may be written, to be counted by. */
    readonly thresholdReliable: boolean;
    readonly attributes?: Attributes;
    readonly updateTraceState?: (traceState: TraceState | undefined) => TraceState | undefined;
  };
  toString(): string;
}

/** What a delegate thinks of a span, before the level has its say. */
export interface Opinion {
  /** It keeps spans whose randomness is at least this: {@link ZERO} and {@link NEVER} when it has decided itself. */
  readonly keepsFrom: string;
  /** The threshold behind that, if known: 14 digits, or `fromState` when its tracestate says it. */
  readonly threshold: string | 'fromState' | undefined;
  /** It wants the span recorded, though not sampled. */
  readonly records: boolean;
  readonly attributes: Readonly<Attributes> | undefined;
  /** `undefined`: that of the parent. */
  readonly traceState: TraceState | undefined;
}

/** Asks a delegate, whichever kind it is. What is thrown is for the caller. */
export interface Delegate {
  /** Of a root (without a parent tracestate), or of a span with a remote parent. */
  ask(args: SamplerArguments, parent: { readonly traceState?: TraceState } | undefined): Opinion;
  /** Asked for local children too. Only of a plain sampler, which may decide per span. */
  readonly sampler: Sampler | undefined;
}

export function delegateOf(delegate: Sampler | ComposableSampler): Delegate {
  return 'getSamplingIntent' in delegate ? composable(delegate) : plain(delegate);
}

/** Anything with `shouldSample` or `getSamplingIntent`. */
export const delegateOption: OptionReader<Sampler | ComposableSampler> = (value, path) => {
  const given = value as Partial<Sampler & ComposableSampler> | null | undefined;
  const isObject = typeof given === 'object' && given !== null;
  if (isObject && (typeof given.shouldSample === 'function' || typeof given.getSamplingIntent === 'function')) {
    return value as Sampler;
  }
  throw new ConfigurationError(path, 'a Sampler (with shouldSample) or a ComposableSampler', value);
};

function plain(sampler: Sampler): Delegate {
  const { keepsAllRoots, followsSampledParents } = whatIsKnownOf(sampler);
  return {
    sampler,
    ask(args, parent) {
      const result = sampler.shouldSample(...args);
      const { decision, attributes } = result;
      const traceState = usable(result.traceState);
      const sampled = decision === 2;
      let threshold: Opinion['threshold'];
      if (traceState !== undefined || (parent && followsSampledParents)) threshold = 'fromState';
      else if (!parent && keepsAllRoots) threshold = ZERO;
      return { keepsFrom: sampled ? ZERO : NEVER, threshold, records: decision === 1, attributes, traceState };
    },
  };
}

function composable(sampler: ComposableSampler): Delegate {
  return {
    sampler: undefined,
    ask(args, parent) {
      const intent = sampler.getSamplingIntent(...args);
      const keepsFrom = hexOfBigInt(intent.threshold);
      return {
        keepsFrom,
        threshold: intent.thresholdReliable ? keepsFrom : undefined,
        records: false,
        attributes: intent.attributes,
        traceState: usable(intent.updateTraceState?.(parent?.traceState)),
      };
    },
  };
}

/** What a delegate returns is propagated: it must at least be possible to. */
function usable(traceState: TraceState | undefined): TraceState | undefined {
  const { get, serialize } = (traceState ?? {}) as Partial<TraceState>;
  return typeof get === 'function' && typeof serialize === 'function' ? traceState : undefined;
}

/** Only the SDK's own samplers say by their description what can be counted on. */
function whatIsKnownOf(sampler: Sampler) {
  const description = describe(sampler);
  const alwaysOn = description === 'AlwaysOnSampler';
  return {
    keepsAllRoots: alwaysOn || description.startsWith('ParentBased{root=AlwaysOnSampler,'),
    followsSampledParents:
      alwaysOn ||
      (description.startsWith('ParentBased{') && description.includes(', remoteParentSampled=AlwaysOnSampler,')),
  };
}

/** Its `toString`, which is the user's. */
export function describe(sampler: Sampler | ComposableSampler): string {
  try {
    return String(sampler);
  } catch {
    return 'unknown';
  }
}
