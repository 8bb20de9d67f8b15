// One contender's turn: a fresh application process under a paced load, against a collector in another process.
//
// A process lives for one turn only. What the engine's compilers and the heap happen to do differs from process to
// process, and stays for its life: over rounds it averages out, and the spread tells how much of it there is.
import { startProcess } from './processes.mjs';

const sleep = (millis) => new Promise((resolve) => setTimeout(resolve, millis));

/**
 * `load` is `{ rate, seconds, warmupRate, warmupSeconds }`. CPU is of the whole application process, threads included,
 * from the first measured span until the last is flushed and the collector has heard nothing new for a while.
 */
export async function measuredTurn({ collector, door, pipeline, seed, load }) {
  const { rate, seconds, warmupSeconds, warmupRate = rate } = load;
  const application = await startProcess('application-process.mjs', { pipeline, seed });
  try {
    await application.call('pace', { rate: warmupRate, seconds: warmupSeconds });
    await application.call('forceFlush');
    await silence(collector, door);
    await collector.call('clear', door);
    const paced = await application.call('measuredPace', { rate, seconds });
    const flush = await application.call('forceFlush');
    await silence(collector, door);
    const usage = await application.call('usage');
    const snapshot = await collector.call('snapshot', door);
    const stats = await application.call('stats');
    const ended = Math.round(rate * seconds);
    check(pipeline, snapshot, ended, stats);
    return { ended, ...paced, flush, ...usage, ...snapshot, stats, share: snapshot.uniqueSpans / ended };
  } finally {
    await application.stop();
  }
}

/** Figures of a run that went wrong are none. */
function check({ kind }, { uniqueSpans, malformedRequests }, ended, stats) {
  if (malformedRequests > 0) throw new Error(`${kind}: ${malformedRequests} malformed requests`);
  if (uniqueSpans > ended) throw new Error(`${kind}: ${uniqueSpans} spans received, ${ended} ended: of the warm-up?`);
  if (kind !== 'none' && uniqueSpans === 0) throw new Error(`${kind}: nothing received`);
  if (stats?.ledger?.balanced === false) throw new Error(`${kind}: ${JSON.stringify(stats.ledger)}`);
}

/** Resolves when no request has come for `millis`: stock's flush does not wait for exports that are under way. */
export async function silence(collector, door, millis = 300) {
  let { requests } = await collector.call('snapshot', door);
  for (let quiet = 0; quiet < millis; quiet += 100) {
    await sleep(100);
    const now = await collector.call('snapshot', door);
    if (now.requests !== requests) quiet = 0;
    requests = now.requests;
  }
}

/** CPU microseconds that a pipeline adds for each span received, beyond what the application pays without one. */
export function netMicros(turn, none) {
  return ((turn.cpuMicros / turn.ended - none.cpuMicros / none.ended) * turn.ended) / turn.uniqueSpans;
}

/** Every contender once, in rotated order, `rounds` times. Returns what they returned, by name, one value per round. */
export async function rounds(contenders, count, { log = () => {} } = {}) {
  const names = Object.keys(contenders);
  const results = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < count; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(turn + round) % names.length];
      results[name].push(await contenders[name](round));
    }
    log(round);
  }
  return results;
}
