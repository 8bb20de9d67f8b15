import { Buffer } from 'node:buffer';
import { ownCopyOf } from './key-field.js';
import { patternOf } from './pattern.js';

// The names of a program's spans and events are few: that is what they are for. Nothing enforces it.
const MAX_NAMES = 1_000;
const MAX_BYTES = 0x7f;
const names = new Map<string, Name>();

/** A field with the name of a span or an event, as a pattern whose tag is still 0. */
export interface Name {
  readonly pattern: number;
  readonly length: number;
}

/** Undefined for a name that is not kept. */
export function nameOf(text: string): Name | undefined {
  return names.get(text) ?? (names.size < MAX_NAMES ? newName(text) : undefined);
}

function newName(text: string): Name | undefined {
  if (text.length > MAX_BYTES) return undefined;
  const utf8 = Buffer.from(text);
  if (utf8.length > MAX_BYTES) return undefined;
  const field = Buffer.concat([Buffer.of(0, utf8.length), utf8]);
  const pattern = patternOf(field);
  if (pattern === undefined) return undefined;
  const name = { pattern, length: field.length };
  names.set(ownCopyOf(text), name);
  return name;
}
