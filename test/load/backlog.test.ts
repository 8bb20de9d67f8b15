// SPOOL_BACKLOG_BYTES=2147483648 for the backlog of the claim: ten minutes, most of them at the default rate. Its directory is
// made in SPOOL_BACKLOG_DIRECTORY, else where temporary files are; SPOOL_BACKLOG_RATES=20000,1000000 for other rates of replay.
import { expect, it } from 'vitest';
import { measureReplay } from './replay-campaign.js';

const MIB = 1024 * 1024;
const asked = process.env.SPOOL_BACKLOG_BYTES;
const bytes = Number(asked ?? 64 * MIB);
const [DEFAULT_RATE, HIGH_RATE, FULL_SPEED] = [10_000, 100_000, 1_000_000];
const rates =
  process.env.SPOOL_BACKLOG_RATES?.split(',').map(Number) ?? (asked ? [HIGH_RATE, DEFAULT_RATE] : [FULL_SPEED]);
const LIVE_SPANS_PER_SECOND = 1_000;

for (const replaySpansPerSecond of rates) {
  const mib = Math.round(bytes / MIB);
  it(`a backlog of ${mib} MiB opens in 2 s and is replayed at ${replaySpansPerSecond} spans/s within 64 MiB, and no live span is lost`, {
    timeout: 120_000 + (bytes / 400 / replaySpansPerSecond) * 1_000 + bytes / 10_000,
  }, async () => {
    const replayed = await measureReplay({ bytes, replaySpansPerSecond, liveSpansPerSecond: LIVE_SPANS_PER_SECOND });
    const { backlog, openMillis, replayMillis, rssBytes, rssGrowthBytes, received, warmUp, live, spool } = replayed;
    console.log(
      `${(backlog.bytes / MIB).toFixed()} MiB, ${backlog.spans} spans in ${backlog.segments} segments: open in ${openMillis.toFixed()} ms, ` +
        `replayed in ${(replayMillis / 1000).toFixed(1)} s beside ${live.ended} live spans; resident memory ` +
        `${(rssBytes / MIB).toFixed()} + ${(rssGrowthBytes / MIB).toFixed()} MiB, loop delayed by ${replayed.loopDelayMaxMillis.toFixed()} ms at most; ` +
        `${received.duplicates} duplicates`,
    );
    expect(replayed.recoveredSpans).toBe(backlog.spans);
    expect(openMillis).toBeLessThan(2_000);
    expect(rssGrowthBytes).toBeLessThan(64 * MIB);
    for (const ledger of [warmUp, live]) {
      expect(ledger).toMatchObject({ balanced: true, queued: 0, inFlight: 0, rejected: 0, dropped: {} });
    }
    expect(live.ended).toBeGreaterThan(0.8 * LIVE_SPANS_PER_SECOND * (replayMillis / 1_000));
    expect(spool).toMatchObject({ balanced: true, waiting: 0, rejected: 0, dropped: {} });
    expect(received.uniqueSpans).toBe(backlog.spans + warmUp.ended + live.ended);
  });
}
