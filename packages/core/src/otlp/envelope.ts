import type { InstrumentationScope, Resource } from '../sdk-types.js';
import { AttributeWriter } from './attribute-writer.js';
import { textOf } from './readable-span.js';
import { unlessThrown } from './unless-thrown.js';
import { WorkingBuffer } from './working-buffer.js';

/** What stands before and after the parts of a ResourceSpans or ScopeSpans. */
export interface Envelope {
  readonly head: Uint8Array;
  readonly tail: Uint8Array;
}

const RESOURCE = 0x0a; // ResourceSpans.resource
const SCOPE = 0x0a; // ScopeSpans.scope
const SCHEMA_URL = 0x1a; // of both
const ATTRIBUTES = 0x0a; // Resource.attributes
const SCOPE_NAME = 0x0a;
const SCOPE_VERSION = 0x12;
const SCOPE_ATTRIBUTES = 0x1a;
const SCOPE_DROPPED = 0x20;

const resources = new WeakMap<Resource, Envelope>();
const scopes = new WeakMap<InstrumentationScope, Envelope>();

/** Whether attributes are still being detected, so that what is written now is not final. */
export function isPending(resource: Resource): boolean {
  return unlessThrown(() => resource.asyncAttributesPending) === true;
}

/** The fields of a ResourceSpans beside its ScopeSpans; kept for as long as the resource lives, once it is final. */
export function resourceEnvelope(resource: Resource): Envelope {
  const known = resources.get(resource);
  if (known) return known;
  const pending = isPending(resource);
  const envelope = write(
    () => resource.schemaUrl,
    (writer) => {
      writer.byte(RESOURCE);
      const start = writer.begin(2);
      writer.attributes(
        ATTRIBUTES,
        unlessThrown(() => resource.attributes),
      );
      writer.end(start, 2);
    },
  );
  if (!pending) remember(resources, resource, envelope);
  return envelope;
}

/** The fields of a ScopeSpans beside its spans. */
export function scopeEnvelope(scope: InstrumentationScope): Envelope {
  const known = scopes.get(scope);
  if (known) return known;
  const envelope = write(
    () => scope.schemaUrl,
    (writer) => {
      writer.byte(SCOPE);
      const start = writer.begin(1);
      textField(
        writer,
        SCOPE_NAME,
        unlessThrown(() => scope.name),
      );
      textField(
        writer,
        SCOPE_VERSION,
        unlessThrown(() => scope.version),
      );
      writer.attributes(
        SCOPE_ATTRIBUTES,
        unlessThrown(() => scope.attributes),
      );
      const dropped = unlessThrown(() => scope.droppedAttributesCount);
      if (typeof dropped === 'number' && dropped >= 1) {
        writer.reserve(8);
        writer.byte(SCOPE_DROPPED);
        writer.varint(Math.min(Math.floor(dropped), 2 ** 32 - 1));
      }
      writer.end(start, 1);
    },
  );
  remember(scopes, scope, envelope);
  return envelope;
}

function write(schemaUrl: () => unknown, writeHead: (writer: AttributeWriter) => void): Envelope {
  const head = new WorkingBuffer();
  const tail = new WorkingBuffer();
  const writer = new AttributeWriter(head);
  writer.careful = true;
  writer.reserve(8);
  writeHead(writer);
  writer.turnTo(tail);
  textField(writer, SCHEMA_URL, unlessThrown(schemaUrl));
  writer.turnTo(head);
  return { head: head.copy(), tail: tail.copy() };
}

function textField(writer: AttributeWriter, tag: number, value: unknown): void {
  const text = textOf(value);
  if (text === '') return;
  writer.reserve(1);
  writer.byte(tag);
  writer.text(text);
}

/** Spans of a user's own making may have anything for a resource. */
function remember<K extends object>(known: WeakMap<K, Envelope>, key: K, envelope: Envelope): void {
  if (typeof key === 'object' && key !== null) known.set(key, envelope);
}
