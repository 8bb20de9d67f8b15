import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeHost } from '../../../../../../test/support/fake-host.js';
import { SystemFiles } from '../system-files.js';
import { CgroupMemorySource } from './cgroup-memory-source.js';

const MIB = 2 ** 20;
const NO_LIMIT_V1 = '9223372036854771712';

let host: FakeHost;

beforeEach(() => {
  host = new FakeHost();
});
afterEach(() => host.remove());

async function sampled(source = new CgroupMemorySource(new SystemFiles(host.root))): Promise<number | undefined> {
  await source.sample();
  return source.read();
}

describe('memory of a cgroup', () => {
  it('v2: usage without inactive file cache, in percent of the limit', async () => {
    host.v2('/app').memoryV2('/app', 100 * MIB, { usage: 95 * MIB, inactiveFile: 15 * MIB });
    expect(await sampled()).toBeCloseTo(80);
  });

  it('v1: the same, hierarchical', async () => {
    host.v1('/app').memoryV1('/app', `${100 * MIB}`, { usage: 95 * MIB, inactiveFile: 5 * MIB });
    host.memoryV1('', NO_LIMIT_V1, { usage: 2_000 * MIB });
    expect(await sampled()).toBeCloseTo(90);
  });

  it('counts the ancestor that is nearest to its limit', async () => {
    host.v2('/pod/app').memoryV2('/pod/app', 200 * MIB, { usage: 50 * MIB });
    host.memoryV2('/pod', 100 * MIB, { usage: 97 * MIB });
    expect(await sampled()).toBeCloseTo(97);
  });

  it('v1 without use_hierarchy: an ancestor binds only its own processes', async () => {
    host.v1('/pod/app').memoryV1('/pod/app', `${200 * MIB}`, { usage: 50 * MIB });
    host.memoryV1('/pod', `${100 * MIB}`, { usage: 97 * MIB });
    host.write('/sys/fs/cgroup/memory/pod/memory.use_hierarchy', '0\n');
    host.write('/sys/fs/cgroup/memory/pod/app/memory.use_hierarchy', '0\n');
    expect(await sampled()).toBeCloseTo(25);
  });

  it.each(['max', NO_LIMIT_V1, `${8 * 1024 * MIB}`, '0'])('%s is no limit', async (limit) => {
    if (limit === 'max') host.v2('/app').memoryV2('/app', 'max', { usage: 50 * MIB });
    else host.v1('/app').memoryV1('/app', limit, { usage: 50 * MIB });
    expect(await sampled()).toBeUndefined();
  });

  it('says nothing without a cgroup', async () => {
    expect(await sampled()).toBeUndefined();
  });

  it('fails rather than to guess: garbage, and files that vanish', async () => {
    host.v2('/app').memoryV2('/app', 100 * MIB, { usage: 50 * MIB });
    const source = new CgroupMemorySource(new SystemFiles(host.root));
    expect(await sampled(source)).toBeCloseTo(50);
    host.write('/sys/fs/cgroup/app/memory.current', 'lots');
    await expect(source.sample()).rejects.toThrow(/memory.current: expected a whole number, got 'lots'/);
    host.remove('/sys/fs/cgroup/app/memory.current');
    await expect(source.sample()).rejects.toThrow(/vanished/);
  });
});
