import assert from 'node:assert/strict';
import { test } from 'node:test';
import { availableCpus } from './available-cpus.ts';

const rows: { name: string; files: Record<string, string>; cpus: number }[] = [
  { name: 'no cgroup', files: {}, cpus: 8 },
  { name: 'no limit', files: { '/sys/fs/cgroup/cpu.max': 'max 100000\n' }, cpus: 8 },
  { name: 'a whole quota', files: { '/sys/fs/cgroup/cpu.max': '200000 100000\n' }, cpus: 2 },
  { name: 'half a CPU is one thread', files: { '/sys/fs/cgroup/cpu.max': '50000 100000\n' }, cpus: 1 },
  { name: 'one and a half are two', files: { '/sys/fs/cgroup/cpu.max': '150000 100000\n' }, cpus: 2 },
  { name: 'more than there are', files: { '/sys/fs/cgroup/cpu.max': '6400000 100000\n' }, cpus: 8 },
  {
    name: 'a parent is tighter',
    files: {
      '/proc/self/cgroup': '0::/pods/ours\n',
      '/sys/fs/cgroup/pods/ours/cpu.max': '400000 100000\n',
      '/sys/fs/cgroup/pods/cpu.max': '300000 100000\n',
    },
    cpus: 3,
  },
];

for (const { name, files, cpus } of rows) {
  test(name, () =>
    assert.equal(
      availableCpus((file) => files[file] ?? null, 8),
      cpus,
    ),
  );
}
