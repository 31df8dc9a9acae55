// How many CPUs this process may really use: what the scheduler lets it run on, and what its cgroup lets it spend.
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';

const cgroupRoot = '/sys/fs/cgroup';

/** The number of data threads that fits this process: at least 1, the CPU quota rounded up where there is one. */
export function availableCpus(
  read: (file: string) => string | null = readText,
  parallelism: number = availableParallelism(),
): number {
  const quota = cgroupQuota(read);
  return Math.max(1, Math.min(parallelism, quota === null ? parallelism : Math.ceil(quota)));
}

/**
 * CPUs per unit of time that the tightest of our cgroups allows (`cpu.max`, cgroup v2), null when there is no limit.
 */
function cgroupQuota(read: (file: string) => string | null): number | null {
  const own = /^0::(\/.*)$/m.exec(read('/proc/self/cgroup') ?? '')?.[1] ?? '/';
  let tightest: number | null = null;
  for (let at = own; ; at = path.dirname(at)) {
    const [quota, period] = (read(path.join(cgroupRoot, at, 'cpu.max')) ?? '').trim().split(' ').map(Number);
    if (quota && period && (tightest === null || quota / period < tightest)) tightest = quota / period;
    if (at === '/') return tightest;
  }
}

function readText(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
