import type { TraceState } from '@opentelemetry/api';
import { AttributeWriter } from './attribute-writer.js';
import { SPAN_ID_BYTES, TRACE_ID_BYTES, writeId } from './ids.js';
import { RecentIds } from './recent-ids.js';
import { unlessThrown } from './unless-thrown.js';

const TRACE_STATE = 0x1a; // of a Span and of a Link
const PARENT_SPAN_ID = 0x22;

/** Room for everything of a span whose size does not depend on it, at its longest. */
export const FIXED_PARTS = 320;

/** Writes what says to which trace a span belongs. */
export class TraceWriter extends AttributeWriter {
  private readonly traceIds = new RecentIds(TRACE_ID_BYTES);
  private readonly parentIds = new RecentIds(SPAN_ID_BYTES);
  private lastTraceState: TraceState | undefined;
  private lastTraceStateText = '';

  /** Whoever has nothing to write at present keeps nothing alive of what has been written. */
  forgetTraces(): void {
    this.traceIds.forget();
    this.parentIds.forget();
    this.lastTraceState = undefined;
    this.lastTraceStateText = '';
  }

  /** Moves nothing. There is room. */
  protected traceId(id: string, at: number): void {
    this.traceIds.write(id, this.bytes, at);
  }

  /** Throws when these are not hexadecimal digits, at most so many. */
  protected id(id: string, size: number): void {
    writeId(this.bytes, this.position, id, size);
    this.position += size;
  }

  /** Whether it could be read: a span without its parent is worth more than none. */
  protected parentSpanId(id: string): boolean {
    const { bytes, position } = this;
    try {
      this.parentIds.write(id, bytes, position + 2);
    } catch {
      return false;
    }
    bytes[position] = PARENT_SPAN_ID;
    bytes[position + 1] = SPAN_ID_BYTES;
    this.position = position + 2 + SPAN_ID_BYTES;
    return true;
  }

  /** Serializing one allocates, and the spans of a local trace share one object and mostly end together. */
  protected traceState(traceState: TraceState): void {
    if (traceState !== this.lastTraceState) {
      this.lastTraceState = undefined;
      this.lastTraceStateText = serialized(traceState);
      this.lastTraceState = traceState;
    }
    if (this.lastTraceStateText === '') return;
    this.byte(TRACE_STATE);
    this.text(this.lastTraceStateText);
    this.reserve(FIXED_PARTS);
  }
}

function serialized(traceState: TraceState): string {
  const text: unknown = unlessThrown(() => traceState.serialize());
  return typeof text === 'string' ? text : '';
}
