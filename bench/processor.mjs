// The claim: our processor costs the application about what the stock one does, byte bound, lanes and ledger included;
// and when it encodes every span as it ends, not much more than the stock one that encodes nothing.
//
// Each contender makes and ends the span of FACTS (10 attributes, 1 event, about 590 bytes encoded) through a tracer
// with one processor, over an exporter that takes what it is given and does nothing. Spans come 100 to a turn of the
// event loop, as from requests. All ratios are ours ÷ stock:
//
// - `queueRatio`: with the same queue and batch size, over exporters that take spans;
// - `queueRatioDefaults`: the same with the defaults of each, where ours keeps twice as many spans alive (batches of
//   1,000 instead of 512), which the garbage collector charges for;
// - `encodeRatio`: as `queueRatio`, but ours over an exporter that takes bytes, so that it encodes every span;
// - `encodeRatioVaried`: the same with spans of many shapes, values and scopes (`support/varied-spans.mjs`), which are
//   harder to encode, and dearer to make.
//
// CPU time of the whole process, collector threads included, since what counts is what the application no longer has.
// Each ratio is measured in processes of its own, for the engine tailors code to what it has seen, and an application has
// one kind of queue; in three of them, one after the other, because what it happens to make of the code is not always
// the same.
import { ratios, spreadOf, summarize } from './harness.mjs';
import { startProcess } from './support/processes.mjs';

const PROCESSES = 3;
const ROUNDS = 15;

export async function run({ log }) {
  const sets = {};
  for (const set of ['queue', 'queueDefaults', 'encode', 'encodeVaried']) {
    log(`processor: ${set}, ${PROCESSES} processes of ${ROUNDS} interleaved rounds, about 20 s`);
    sets[set] = await measure(set);
  }
  const { estimate } = await inProcess((child) => child.call('estimate'));

  const names = Object.keys(sets);
  const samples = Object.fromEntries(names.map((set) => [`${set}Ratio`, ratios(sets[set].ours, sets[set].stock)]));
  const { queueRatio, queueDefaultsRatio, encodeRatio, encodeVariedRatio } = samples;
  const named = {
    queueRatio,
    queueRatioDefaults: queueDefaultsRatio,
    encodeRatio,
    encodeRatioVaried: encodeVariedRatio,
  };
  const { metrics, spread } = summarize({
    ...named,
    noneNanos: sets.queue.none,
    stockNanos: sets.queue.stock,
    oursNanos: sets.queue.ours,
    stockEncodeNanos: sets.encode.stock,
    encodingNanos: sets.encode.ours,
    stockVariedNanos: sets.encodeVaried.stock,
    encodingVariedNanos: sets.encodeVaried.ours,
    estimateNanos: estimate,
  });
  const upper = Object.entries(named).map(([name, values]) => [`${name}Upper90`, spreadOf(values).upper90]);
  return { metrics: { ...metrics, ...Object.fromEntries(upper) }, spread };
}

/** The rounds of all processes together. */
async function measure(set) {
  const nanos = {};
  for (let i = 0; i < PROCESSES; i++) {
    const measured = await inProcess((child) => child.call('measure', set, ROUNDS));
    for (const [name, values] of Object.entries(measured)) nanos[name] = [...(nanos[name] ?? []), ...values];
  }
  return nanos;
}

async function inProcess(work) {
  const child = await startProcess('ending-process.mjs');
  try {
    return await work(child);
  } finally {
    await child.stop();
  }
}
