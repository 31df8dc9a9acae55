// A run lives in network, mount and pid namespaces of its own, also as root: whatever ends it (Ctrl-C, a crash,
// SIGKILL)
// takes every process, namespace, route and rule with it. An ordinary user gets a user namespace around that.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import { command } from './processes.ts';

const insideVariable = 'AMBIENT_BENCH_DIR';

/** The scratch folder of the run this process is the inside of; null outside of any. */
export function sandboxDir(): string | null {
  return process.env[insideVariable] ?? null;
}

/** Runs `script` with `args` inside; returns its exit code. The scratch folder is removed whatever happens. */
export async function runInSandbox(script: string, args: readonly string[]): Promise<number> {
  const dir = mkdtempSync(path.join(tmpdir(), 'ambient-bench-'));
  const asRoot = process.getuid?.() === 0;
  const words = [
    ...(asRoot ? [] : ['--user', '--map-root-user']),
    ...['--net', '--mount', '--pid', '--fork', '--kill-child=KILL', '--mount-proc', '--'],
    // Held connections need many descriptors; the soft limit is often 1,024.
    ...['sh', '-c', 'ulimit -n "$(ulimit -Hn)"; exec "$@"', 'sh'],
    ...[process.execPath, script, ...args],
  ];
  const child = spawn('unshare', words, {
    // The pipe tells the inside when the outside is gone, even if it had no time to say so.
    stdio: ['pipe', 'inherit', 'inherit'],
    env: { ...process.env, [insideVariable]: dir },
  });
  const { promise, resolve } = Promise.withResolvers<number>();
  const stop = (): void => {
    child.stdin?.end();
  };
  process.on('SIGINT', stop).on('SIGTERM', stop).on('SIGHUP', stop);
  child.on('error', () => resolve(1));
  child.on('exit', (code, signal) => resolve(code ?? 128 + (constants.signals[signal ?? 'SIGKILL'] ?? 9)));
  try {
    return await promise;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** First thing inside: a private /run for `ip netns`, and the end of this process when the outside goes. */
export function enterSandbox(dir: string, stop: () => Promise<void>): void {
  command('mount', ['--make-rprivate', '/']);
  command('mount', ['-t', 'tmpfs', 'tmpfs', '/run']);
  command('ip', ['link', 'set', 'lo', 'up']);
  const onStop = (): void => {
    void stop().finally(() => {
      rmSync(dir, { recursive: true, force: true }); // the outside may be gone, and unable to
      process.exit(130);
    });
  };
  process.on('SIGINT', onStop).on('SIGTERM', onStop);
  process.stdin.on('end', onStop).on('error', onStop).resume();
}
