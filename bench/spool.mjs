// The claim: keeping a batch on the disk costs the application little more than reading it once.
//
// Batches of 300 kB of varied spans, encoded already, are appended one after the other to a fresh directory: by ours (the
// disk spool, `fsync: 'never'`), and by a loop of `writev` with the same sizes and nothing else. Every round runs each
// contender once, in rotated order.
//
// - `appendMainThreadRatio`: how long an append holds the main thread ÷ (1.5 × `zlib.crc32` of the same bytes + 30 µs).
//   What the event loop is active for, by its own account: waiting for the disk is not.
// - `vsRawWritev`: bytes per second, ours ÷ raw.
// - `appendMainThreadMicros`, `crcMicros`, and for each mode of fsync `appendMillis…`: from the call to the promise.
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { crc32 } from 'node:zlib';
import { Spool } from '@otel-resilience/tiered';
import { median, ratios, round } from './harness.mjs';
import { encodedBatch } from './support/encoded-batch.mjs';
import { Figures } from './support/figures.mjs';
import { rounds as inRounds } from './support/turn.mjs';

export const OPTIONS = ['rounds', 'quick'];

const BATCH_BYTES = 300_000;
const FRAME_HEADER_BYTES = 40;
const ROUNDS = 11;
const WARM_UP_TURNS = 4;
const APPENDS = { never: 600, interval: 600, always: 40 };
const MAX_BYTES = 1_000_000_000;
const ALLOWED_CRCS = 1.5;
const ALLOWED_MICROS = 30;

export async function run({ log, rounds = ROUNDS, quick = false }) {
  const count = quick ? 1 : rounds;
  const batch = encodedBatch(BATCH_BYTES);
  const chunks = batch.otlp();
  const contenders = {
    crc: () => timeCrc(chunks),
    raw: () => inDirectory((directory) => appendRaw(directory, chunks)),
    ...Object.fromEntries(
      Object.keys(APPENDS).map((fsync) => [
        fsync,
        () => inDirectory((directory) => appendOurs(directory, fsync, batch)),
      ]),
    ),
  };
  log(`spool: ${count} rounds of ${Object.keys(contenders).length} contenders, about ${count * 3} s`);
  // The engine compiles for so long; a process that spools has run for longer.
  for (let i = 0; i < WARM_UP_TURNS; i++) for (const turn of [contenders.raw, contenders.never]) await turn();
  const turns = await inRounds(contenders, count);
  const figures = new Figures();
  const crcs = turns.crc;
  const held = turns.never.map(({ activeMicros }) => activeMicros);
  figures.addBounded(
    'appendMainThreadRatio',
    ratios(
      held,
      crcs.map((micros) => ALLOWED_CRCS * micros + ALLOWED_MICROS),
    ),
  );
  const bytesPerMilli = (of) => of.map(({ millis }) => batch.byteLength / millis);
  figures.add('vsRawWritev', ratios(bytesPerMilli(turns.never), bytesPerMilli(turns.raw)));
  figures.add('appendMainThreadMicros', held);
  figures.add('crcMicros', crcs);
  for (const [fsync, suffix] of Object.entries({ never: 'Never', interval: 'Interval', always: 'Always' })) {
    figures.add(
      `appendMillis${suffix}`,
      turns[fsync].map(({ millis }) => millis),
    );
  }
  const { metrics, spread } = figures;
  return {
    metrics,
    spread,
    tables: { [`a batch of ${batch.byteLength} bytes, ${batch.spanCount} spans`]: rows(turns) },
  };
}

/** Varied spans, as many as make {@link BATCH_BYTES}. */
function timeCrc(chunks) {
  const times = 100;
  const startedAt = performance.now();
  for (let i = 0; i < times; i++) for (const chunk of chunks) crc32(chunk);
  return ((performance.now() - startedAt) / times) * 1_000;
}

async function appendRaw(directory, chunks) {
  const file = await open(join(directory, 'raw'), 'wx', 0o600);
  try {
    const header = Buffer.alloc(FRAME_HEADER_BYTES);
    let position = 0;
    return await timed(APPENDS.never, async () => {
      const { bytesWritten } = await file.writev([header, ...chunks], position);
      position += bytesWritten;
    });
  } finally {
    await file.close();
  }
}

async function appendOurs(directory, fsync, batch) {
  const spool = new Spool({ directory, fsync, maxBytes: MAX_BYTES });
  try {
    await spool.append(batch); // opens the directory
    return await timed(APPENDS[fsync], async () => {
      const { stored } = await spool.append(batch);
      if (stored !== batch.spanCount) throw new Error(`stored ${stored} of ${batch.spanCount} spans`);
    });
  } finally {
    await spool.shutdown();
  }
}

/** Per append: wall time, and for how long the event loop was active. */
async function timed(count, append) {
  const before = performance.eventLoopUtilization();
  const startedAt = performance.now();
  for (let i = 0; i < count; i++) await append();
  const millis = (performance.now() - startedAt) / count;
  const { active } = performance.eventLoopUtilization(before);
  return { millis, activeMicros: (active / count) * 1_000 };
}

async function inDirectory(work) {
  const directory = await mkdtemp(join(tmpdir(), 'otel-resilience-bench-'));
  try {
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

function rows(turns) {
  const of = (name, read) => round(median(turns[name].map(read)));
  return ['raw', ...Object.keys(APPENDS)].map((name) => ({
    contender: name === 'raw' ? 'writev alone' : `spool, fsync ${name}`,
    'µs of the main thread': of(name, ({ activeMicros }) => activeMicros),
    'ms per append': of(name, ({ millis }) => millis),
  }));
}
