// Runs a scenario inside fresh namespaces, as root of a user namespace and, where the tests run as root, as root
// itself; each line that it prints becomes a test of its own.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

const namespaces = ['--net', '--mount', '--pid', '--mount-proc', '--fork', '--kill-child'];
const variants = {
  'as root of a user namespace': ['--user', '--map-root-user', ...namespaces],
  ...(process.getuid?.() === 0 ? { 'as root': namespaces } : {}),
};

/** Defines the tests of the scenario in `file` beside this one. */
export function runScenario(what: string, file: string): void {
  const scenario = new URL(file, import.meta.url).pathname;
  for (const [name, flags] of Object.entries(variants)) {
    test(`${what}, ${name}`, { timeout: 60_000 }, async (t) => {
      const run = spawnSync('unshare', [...flags, process.execPath, scenario], { encoding: 'utf8', timeout: 55_000 });
      for (const line of run.stdout.split('\n').filter(Boolean)) {
        const { row, actual, expected } = JSON.parse(line) as { row: string; actual: unknown; expected: unknown };
        await t.test(row, () => assert.deepEqual(actual, expected, run.stderr.slice(-4_000)));
      }
      assert.equal(run.status, 0, `the scenario ended early:\n${run.stderr}`);
    });
  }
}
