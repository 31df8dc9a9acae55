// Capture against a real kernel: nftables, transparent sockets, network namespaces of our own. Needs root or user
// namespaces.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

const scenario = new URL('./capture-scenario.ts', import.meta.url).pathname;
const fresh = ['--net', '--mount', '--pid', '--mount-proc', '--fork', '--kill-child'];
const variants = {
  'as root of a user namespace': ['--user', '--map-root-user', ...fresh],
  ...(process.getuid?.() === 0 ? { 'as root': fresh } : {}),
};

for (const [name, flags] of Object.entries(variants)) {
  test(`capture in the host namespace, ${name}`, { timeout: 60_000 }, async (t) => {
    const run = spawnSync('unshare', [...flags, process.execPath, scenario], { encoding: 'utf8', timeout: 55_000 });
    for (const line of run.stdout.split('\n').filter(Boolean)) {
      const { row, actual, expected } = JSON.parse(line) as { row: string; actual: unknown; expected: unknown };
      await t.test(row, () => assert.deepEqual(actual, expected));
    }
    assert.equal(run.status, 0, `the scenario ended early:\n${run.stderr}`);
  });
}
