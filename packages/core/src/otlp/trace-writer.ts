import type { TraceState } from '@opentelemetry/api';
import { AttributeWriter } from './attribute-writer.js';
import { SPAN_ID_BYTES, TRACE_ID_BYTES, writeId } from './ids.js';
import { unlessThrown } from './unless-thrown.js';

const TRACE_STATE = 0x1a; // of a Span and of a Link
const PARENT_SPAN_ID = 0x22;

/** Room for everything of a span whose size does not depend on it, at its longest. */
export const FIXED_PARTS = 320;

/** Writes what says to which trace a span belongs. Spans of one trace mostly end one after the other: it remembers the last. */
export class TraceWriter extends AttributeWriter {
  private readonly lastTraceId = new Uint8Array(TRACE_ID_BYTES);
  private lastTraceIdText = '';
  private readonly lastParent = new Uint32Array(2);
  private lastParentText = '';
  private lastTraceState: TraceState | undefined;
  private lastTraceStateText = '';

  /** Spans of a trace mostly end one after the other, but a root is the last of them: what follows is of another one. */
  protected traceId(id: string, at: number, isRemembered: boolean): void {
    const { bytes, lastTraceId } = this;
    if (id === this.lastTraceIdText && id !== '') {
      for (let i = 0; i < TRACE_ID_BYTES; i++) bytes[at + i] = lastTraceId[i]!;
      return;
    }
    writeId(bytes, at, id, TRACE_ID_BYTES);
    if (!isRemembered) return;
    for (let i = 0; i < TRACE_ID_BYTES; i++) lastTraceId[i] = bytes[at + i]!;
    this.lastTraceIdText = id;
  }

  /** Throws when these are not hexadecimal digits, at most so many. */
  protected id(id: string, size: number): void {
    writeId(this.bytes, this.position, id, size);
    this.position += size;
  }

  /** Whether it could be read: a span without its parent is worth more than none. */
  protected parentSpanId(id: string): boolean {
    const { view, position } = this;
    try {
      this.byte(PARENT_SPAN_ID);
      this.byte(SPAN_ID_BYTES);
      // Siblings mostly end one after the other.
      if (id === this.lastParentText) {
        view.setUint32(position + 2, this.lastParent[0]!);
        view.setUint32(position + 6, this.lastParent[1]!);
        this.position = position + 10;
      } else {
        // Cleared before, and set last: whatever throws in between, the text never stands for other bytes.
        this.lastParentText = '';
        this.id(id, SPAN_ID_BYTES);
        this.lastParent[0] = view.getUint32(position + 2);
        this.lastParent[1] = view.getUint32(position + 6);
        this.lastParentText = id;
      }
      return true;
    } catch {
      this.position = position;
      return false;
    }
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
