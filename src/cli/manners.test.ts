// What holds for every command line: colour, the name it was called by, exit codes, and errors that say where and what
// next.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { jsonPlace } from '../base/json-place.ts';
import { runInProcess } from './testing-run.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'ambient-manners-'));
after(() => rmSync(folder, { recursive: true }));
const nobody = { AMBIENT_LAB: 'no-such-lab' };
const colourSign = String.fromCharCode(27);

test('--color: anywhere before --, for data and talk; what is none is refused', async () => {
  const isColoured = async (...args: string[]): Promise<boolean> =>
    (await runInProcess(args, nobody)).err.includes(colourSign);
  assert.equal(await isColoured('status'), false);
  assert.equal(await isColoured('status', '--color', 'always'), true);
  assert.equal(await isColoured('--color=always', 'status'), true);
  assert.equal(await isColoured('status', '--color=never'), false);
  const refused = await runInProcess(['status', '--color', 'loud'], nobody);
  assert.deepEqual([refused.code, /--color is one of auto, always, never, not 'loud'/.test(refused.err)], [2, true]);
});

test('as a plug-in of kubectl it speaks of itself as one', async () => {
  const env = { ...nobody, AMBIENT_CALLED_AS: 'kubectl ambient' };
  const help = await runInProcess(['waypoint', 'apply', '--help'], env);
  assert.match(help.out, /^Usage: kubectl ambient waypoint apply \[options\]/);
  assert.match(help.out, /^ {2}kubectl ambient waypoint apply -n shop --wait/m);
  assert.doesNotMatch(help.out, /ambientctl/);
  const failed = await runInProcess(['status'], env);
  assert.match(failed.err, /^kubectl ambient: .*kubectl ambient lab up/);
});

test('what kubectl asks to complete: candidates, and a directive at the end', async () => {
  const ask = async (...words: string[]) =>
    (await runInProcess(['__complete', '--kubectl', '--', ...words], nobody)).out;
  assert.equal(await ask('waypoint', 'gen'), 'generate\tprint the manifest of a waypoint\n:4\n');
  assert.equal(await ask('analyze', ''), ':0\n');
  assert.equal(await ask('enroll', ''), ':4\n', 'nobody answers, and nothing is said');
});

const broken: readonly [string, string][] = [
  ['{\n  "workloads": [1 2]\n}', ':2:19'],
  ['{"a": tru}', ':1:10'],
  ['{\n"a": 1', ':2:7'],
  ['', ':1:1'],
  ['<html>', ':1:1'],
];
for (const [text, place] of broken) {
  test(`broken JSON has its place: ${JSON.stringify(text)}`, async () => {
    const file = path.join(folder, 'dump.json');
    writeFileSync(file, text);
    const { code, err } = await runInProcess(['config', 'certs', '-f', file]);
    assert.equal(code, 2);
    assert.ok(err.startsWith(`ambientctl: ${file}${place}: `), err);
  });
}

test('what is no complaint about JSON has no place', () => {
  assert.equal(jsonPlace(new Error('ENOENT'), ''), '');
});

test('a reader that goes ends it quietly', () => {
  const program = path.join(import.meta.dirname, '../bin/ambientctl.ts');
  const line = `${process.execPath} ${program} analyze --list-codes | head -n 1; echo "\${PIPESTATUS[0]}"`;
  const { stdout, stderr } = spawnSync('bash', ['-c', line], { encoding: 'utf8', timeout: 30_000 });
  assert.match(stdout, /^.+\n0\n$/);
  assert.equal(stderr.replace(/^.*codes.*\n/m, ''), '');
});
