import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { locateCgroup, parseMembership, parseMounts } from './cgroup-directories.js';

const V2_MOUNT = '30 23 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw,nsdelegate';

describe('where the files of the own cgroup are', () => {
  it('v2: the cgroup below the mount point, then its ancestors', () => {
    expect(locateCgroup('0::/system.slice/shop.service\n', parseMounts(V2_MOUNT), 'memory')).toEqual({
      version: 2,
      paths: ['/sys/fs/cgroup/system.slice/shop.service', '/sys/fs/cgroup/system.slice', '/sys/fs/cgroup'],
    });
  });

  it('v2 in a namespace of its own: the mount point', () => {
    expect(locateCgroup('0::/\n', parseMounts(V2_MOUNT), 'cpu')?.paths).toEqual(['/sys/fs/cgroup']);
  });

  it('v1 in a container without a namespace: the mount shows the cgroup itself', () => {
    const mounts = parseMounts('35 32 0:31 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory');
    expect(locateCgroup('4:memory:/docker/abc\n0::/\n', mounts, 'memory')).toEqual({
      version: 1,
      paths: ['/sys/fs/cgroup/memory'],
    });
  });

  it('hybrid: a controller is in the hierarchy that lists it', () => {
    const mounts = parseMounts(`31 1 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n${V2_MOUNT}`);
    const membership = '2:cpu,cpuacct:/web\n0::/shop\n';
    expect(locateCgroup(membership, mounts, 'cpuacct')?.paths[0]).toBe('/sys/fs/cgroup/cpu,cpuacct/web');
    expect(locateCgroup(membership, mounts, 'memory')?.paths[0]).toBe('/sys/fs/cgroup/shop');
  });

  it('says nothing of a cgroup that no mount shows, or that is outside of the namespace', () => {
    const foreign = parseMounts('35 32 0:31 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory');
    expect(locateCgroup('4:memory:/docker/abcdef\n', foreign, 'memory')).toBeUndefined();
    expect(locateCgroup('0::/../other\n', parseMounts(V2_MOUNT), 'memory')).toBeUndefined();
    expect(locateCgroup('', parseMounts(V2_MOUNT), 'memory')).toBeUndefined();
    expect(locateCgroup('0::/a\n', [], 'memory')).toBeUndefined();
  });

  it('reads escaped mount points, optional tags or none, and paths with colons', () => {
    const [mount] = parseMounts('30 23 0:26 / /mnt/my\\040groups rw - cgroup2 none rw');
    expect(mount).toMatchObject({ version: 2, mountPoint: '/mnt/my groups' });
    expect(parseMembership('3:cpu:/a:b\n').get('cpu')).toBe('/a:b');
  });

  it('never throws, whatever the files say', () => {
    const line = fc.oneof(
      fc.string(),
      fc.constantFrom('0::/a', '1:cpu:/b', V2_MOUNT, ' - cgroup2', '1 2 3 / - cgroup'),
    );
    const text = fc.array(line).map((lines) => lines.join('\n'));
    fc.assert(
      fc.property(text, text, (membership, mounts) => {
        locateCgroup(membership, parseMounts(mounts), 'cpu');
      }),
    );
  });
});
