import type { SpanHead } from '../span-batch-summary.js';
import {
  addRun,
  type Frame,
  type RequestFrames,
  type ResourceFrame,
  type Run,
  readRequestFrames,
  type ScopeFrame,
} from './request-frames.js';
import { readServiceName, readSpanHead } from './span-head-reader.js';
import { delimitedSize, FieldReader, writeDelimited } from './wire.js';

/**
 * An encoded `ExportTraceServiceRequest` in chunks, of which spans can be read in part, counted and picked without
 * decoding them. The chunks may be cut anywhere; cut between fields of the request they are never copied together.
 *
 * Bytes that are no such request throw a `MalformedOtlpError`, from `heads` and from `pick`.
 */
export class BytesForm {
  readonly chunks: readonly Uint8Array[];
  readonly byteLength: number;

  constructor(chunks: readonly Uint8Array[]) {
    this.chunks = chunks;
    this.byteLength = chunks.reduce((bytes, chunk) => bytes + chunk.byteLength, 0);
  }

  /** What the summary needs of each span, in order; read one by one, as they are asked for. */
  *heads(): Generator<SpanHead> {
    for (const { bytes, resources, scopes } of readRequestFrames(this.chunks).resources) {
      const service = readServiceName(resources);
      for (const scope of scopes) {
        for (const { start, end } of scope.spans) {
          const frame = new FieldReader(bytes, start, end);
          frame.next();
          yield readSpanHead(frame.message(), service);
        }
      }
    }
  }

  /**
   * The spans at these indexes (ascending), with their resources and scopes, every field that we do not know kept,
   * in memory of its own: one chunk of exactly its size. All of them: this form itself.
   */
  pick(indexes: readonly number[]): BytesForm {
    return this.pickFrom(readRequestFrames(this.chunks), indexes);
  }

  /** One of each of these lists, as {@link pick} makes it; the request is stepped through once. */
  pickEach(lists: ReadonlyArray<readonly number[]>): BytesForm[] {
    const frames = readRequestFrames(this.chunks);
    return lists.map((indexes) => this.pickFrom(frames, indexes));
  }

  private pickFrom({ resources, rest }: RequestFrames, indexes: readonly number[]): BytesForm {
    let spanCount = 0;
    let found = 0;
    const isNextChosen = () => {
      const chosen = indexes[found] === spanCount++;
      if (chosen) found++;
      return chosen;
    };
    const picked = resources
      .map((resource) => pickResource(resource, isNextChosen))
      .filter(({ scopes }) => scopes.length);
    if (found < indexes.length) {
      throw new RangeError(`span ${indexes[found]} is not there, or not in order: the request holds ${spanCount}`);
    }
    if (found === spanCount) return this;
    return new BytesForm(picked.length > 0 ? [writeRequest(picked, rest)] : []);
  }
}

interface PickedScope extends ScopeFrame {
  readonly length: number;
}

interface PickedResource extends ResourceFrame {
  readonly scopes: readonly PickedScope[];
  readonly length: number;
}

function pickResource(resource: ResourceFrame, isNextChosen: () => boolean): PickedResource {
  const scopes = resource.scopes.map((scope) => pickScope(scope, isNextChosen)).filter(({ spans }) => spans.length > 0);
  const length = scopes.reduce((sum, scope) => sum + delimitedSize(scope.length), frameLength(resource));
  return { ...resource, scopes, length };
}

function pickScope(scope: ScopeFrame, isNextChosen: () => boolean): PickedScope {
  const spans: Run[] = [];
  for (const { start, end } of scope.spans) if (isNextChosen()) addRun(spans, start, end);
  return { ...scope, spans, length: frameLength(scope) + totalLength(spans) };
}

function writeRequest(resources: readonly PickedResource[], rest: readonly Uint8Array[]): Uint8Array {
  const restLength = rest.reduce((sum, field) => sum + field.byteLength, 0);
  const target = new Uint8Array(resources.reduce((sum, { length }) => sum + delimitedSize(length), restLength));
  let at = 0;
  const copy = (bytes: Uint8Array, runs: readonly Run[]) => {
    for (const { start, end } of runs) {
      target.set(bytes.subarray(start, end), at);
      at += end - start;
    }
  };
  for (const { bytes, head, scopes, tail, length } of resources) {
    at = writeDelimited(target, at, 1, length);
    copy(bytes, head);
    for (const scope of scopes) {
      at = writeDelimited(target, at, 2, scope.length);
      copy(bytes, scope.head);
      copy(bytes, scope.spans);
      copy(bytes, scope.tail);
    }
    copy(bytes, tail);
  }
  for (const field of rest) {
    target.set(field, at);
    at += field.byteLength;
  }
  return target;
}

const frameLength = ({ head, tail }: Frame): number => totalLength(head) + totalLength(tail);

function totalLength(runs: readonly Run[]): number {
  let length = 0;
  for (const { start, end } of runs) length += end - start;
  return length;
}
