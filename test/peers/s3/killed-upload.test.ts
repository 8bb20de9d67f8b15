// kill -9 of real processes in mid-upload. S3_KILL_CYCLES=500 for more of it, S3_KILL_SEED=n for the plan of a run that failed.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithPeer } from '../peer.js';
import { killUploads } from './killed-uploads.js';
import { S3Server } from './s3-server.js';

const cycles = Number(process.env.S3_KILL_CYCLES ?? 40);
const seed = Number(process.env.S3_KILL_SEED ?? Math.floor(Math.random() * 2 ** 31));

describeWithPeer('s3', 'archiving processes that are killed', (python) => {
  let server: S3Server;

  beforeAll(async () => {
    process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
    server = await S3Server.start(python);
    await server.createBucket('killed');
  });
  afterAll(() => server.stop());

  it('leave no object that is not whole, what the next process completes, and no parts a day later', {
    timeout: 60_000 + cycles * 3_000,
  }, async () => {
    const report = await killUploads(server, 'killed', cycles, seed);
    const { kills, kinds, batches, retried, mostOrphans, violations, millis } = report;
    console.log(
      `S3 kills: seed ${seed}, ${kills} kills in ${(millis / 1000).toFixed(1)} s, ${batches} batches archived, ${retried} of ` +
        `them by another process than began with them, at most ${mostOrphans} unfinished uploads`,
      Object.fromEntries(kinds),
    );
    expect(violations, `seed ${seed}`).toEqual([]);
    // Or it has shown nothing.
    expect(retried).toBeGreaterThan(0);
    expect(mostOrphans).toBeGreaterThan(0);
  });
});
