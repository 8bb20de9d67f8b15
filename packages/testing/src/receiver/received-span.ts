/** A span as it was on the wire. What the request left out has its protobuf default. */
export interface ReceivedSpan {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits. */
  readonly spanId: string;
  /** '' for a root. */
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly flags: number;
  readonly name: string;
  /** As OTLP numbers them: 1 is INTERNAL, 2 SERVER, 3 CLIENT, 4 PRODUCER, 5 CONSUMER. */
  readonly kind: number;
  /** Decimal digits. */
  readonly startTimeUnixNano: string;
  /** Decimal digits. */
  readonly endTimeUnixNano: string;
  readonly attributes: ReceivedAttributes;
  readonly droppedAttributesCount: number;
  readonly events: readonly ReceivedEvent[];
  readonly droppedEventsCount: number;
  readonly links: readonly ReceivedLink[];
  readonly droppedLinksCount: number;
  readonly status: { readonly code: number; readonly message: string };
  readonly resource: { readonly attributes: ReceivedAttributes; readonly schemaUrl: string };
  readonly scope: {
    readonly name: string;
    readonly version: string;
    readonly attributes: ReceivedAttributes;
    readonly schemaUrl: string;
  };
}

/** Integers beyond 2^53 are `bigint`, bytes a `Uint8Array`, an empty value `undefined`. */
export type ReceivedAttributes = Readonly<Record<string, unknown>>;

export interface ReceivedEvent {
  /** Decimal digits. */
  readonly timeUnixNano: string;
  readonly name: string;
  readonly attributes: ReceivedAttributes;
  readonly droppedAttributesCount: number;
}

export interface ReceivedLink {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceState: string;
  readonly flags: number;
  readonly attributes: ReceivedAttributes;
  readonly droppedAttributesCount: number;
}
