import { getRandomValues } from 'node:crypto';
import type { SpanHead } from '@otel-resilience/core';
import { mix } from '../mix.js';

const GENERATION_SPANS = 1 << 20;
const FIRST_SLOTS = 1 << 10;

/**
 * Which spans have been sent: the last million at least, in at most 32 MB. Objects are read hour by hour, and a span that
 * was archived twice is in the same hour both times.
 *
 * A span is known by 64 bits of a hash over its ids and times, mixed with chance: of 10⁹ spans, one is taken for another in
 * one run of 10,000. By its times too, since spans of other tracers may share an id with their parent's.
 */
export class SeenSpans {
  private readonly seeds = getRandomValues(new Uint32Array(2));
  private readonly generationSpans: number;
  private recent = new FingerprintSet();
  private older = new FingerprintSet();

  /** So many are remembered for certain: after as many again, the older half is forgotten. */
  constructor(generationSpans = GENERATION_SPANS) {
    this.generationSpans = generationSpans;
  }

  /** Whether it has been there before; it has from then on. A span without ids never has. */
  add(head: SpanHead): boolean {
    if (!HEX_48.test(head.traceId + head.spanId)) return false;
    const [high, low] = this.fingerprint(head);
    if (this.older.has(high, low)) return true;
    if (!this.recent.add(high, low)) return true;
    if (this.recent.size >= this.generationSpans) {
      this.older = this.recent;
      this.recent = new FingerprintSet();
    }
    return false;
  }

  private fingerprint({ traceId, spanId, startMillis, endMillis }: SpanHead): [high: number, low: number] {
    let high = this.seeds[0]!;
    let low = this.seeds[1]!;
    const add = (word: number) => {
      high = mix(high ^ word);
      low = mix(Math.imul(low, 0x0100_0193) ^ high ^ word);
    };
    for (const id of [traceId, spanId]) {
      for (let at = 0; at < id.length; at += 8) add(Number.parseInt(id.slice(at, at + 8), 16) | 0);
    }
    for (const millis of [startMillis, endMillis]) {
      add(Math.floor(millis / 0x1_0000_0000) | 0);
      add(millis | 0);
      add(((millis % 1) * 0x1_0000_0000) | 0);
    }
    return [high, low];
  }
}

const HEX_48 = /^[0-9a-f]{48}$/;

/** Pairs of 32-bit numbers, in open addressing: 16 bytes each. Both 0 stands for an empty slot. */
class FingerprintSet {
  size = 0;
  private slots = new Uint32Array(2 * FIRST_SLOTS);

  has(high: number, low: number): boolean {
    return this.slots[this.slotOf(high, low) + 1] !== 0;
  }

  /** `false` when it was there. */
  add(high: number, low: number): boolean {
    const slot = this.slotOf(high, low);
    if (this.slots[slot + 1] !== 0) return false;
    this.slots[slot] = high;
    this.slots[slot + 1] = low || 1;
    this.size++;
    if (this.size * 4 > this.slots.length) this.grow();
    return true;
  }

  /** Where it is, or would be. */
  private slotOf(high: number, low: number): number {
    const { slots } = this;
    const filled = low || 1;
    for (let slot = (high * 2) % slots.length; ; slot = (slot + 2) % slots.length) {
      if (slots[slot + 1] === 0 || (slots[slot] === high && slots[slot + 1] === filled)) return slot;
    }
  }

  private grow(): void {
    const before = this.slots;
    this.slots = new Uint32Array(before.length * 2);
    for (let at = 0; at < before.length; at += 2) {
      if (before[at + 1] === 0) continue;
      const slot = this.slotOf(before[at]!, before[at + 1]!);
      this.slots[slot] = before[at]!;
      this.slots[slot + 1] = before[at + 1]!;
    }
  }
}
