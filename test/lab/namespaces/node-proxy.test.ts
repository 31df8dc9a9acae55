// The program `ambient-node` as a whole, in namespaces of its own. Needs root or user namespaces.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { runScenario } from './run-scenario.ts';

const program = new URL('../../../src/bin/ambient-node.ts', import.meta.url).pathname;

runScenario('the node proxy', 'node-scenario.ts');

const wrong: { name: string; text: string; code: number; says: RegExp }[] = [
  { name: 'a wrong value', text: 'nodeName: n1\nthreads: many\n', code: 2, says: /node\.yaml:2:10: threads must be/ },
  { name: 'no YAML', text: 'nodeName: [\n', code: 2, says: /node\.yaml:\d+:\d+: / },
];
for (const { name, text, code, says } of wrong) {
  test(`ambient-node refuses its configuration: ${name}`, (t) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'ambient-node-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const file = path.join(folder, 'node.yaml');
    writeFileSync(file, text);
    const run = spawnSync(process.execPath, [program, '--config', file], { encoding: 'utf8', timeout: 20_000 });
    assert.deepEqual([run.status, says.test(run.stderr)], [code, true], run.stderr);
  });
}

test('ambient-node says how it is used', () => {
  for (const args of [['fly'], ['run'], ['--wings']]) {
    const run = spawnSync(process.execPath, [program, ...args], { encoding: 'utf8', timeout: 20_000 });
    assert.equal(run.status, 2, run.stderr);
    assert.match(run.stderr, /usage: ambient-node/);
  }
});
