// What is run inside of a pod, against a pretended shell; the real one: test/lab/in-pod.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMeshError } from '../base/errors.ts';
import type { CommandResult, CommandRunner } from './command.ts';
import { applyInPod, type PodPlace, readPod, removeFromPod } from './pod-script.ts';

const place: PodPlace = { file: '/proc/1/fd/9', families: ['-4'] };
const table = JSON.stringify({ nftables: [{ metainfo: {} }, { chain: { name: 'owner_5' } }, { rule: { handle: 1 } }] });

/** Answers with `stdout`, and remembers what was to be run. */
function runner(result: Partial<CommandResult>): { run: CommandRunner; calls: string[][] } {
  const calls: string[][] = [];
  const run: CommandRunner = async (tool, args, input = '') => {
    calls.push([tool, ...args, input]);
    return { exitCode: 0, stdout: '', stderr: '', ...result };
  };
  return { run, calls };
}

test('one program in the namespace, with its rules, routes of its families, and what came of them', async () => {
  const { run, calls } = runner({ stdout: `${table}\n` });
  const reading = await applyInPod(place, 'THE RULES', 5, run);
  assert(reading !== 'superseded');
  assert.deepEqual([reading.ownerMs, reading.missing, typeof reading.structure], [5, [], 'string']);
  const [[tool, file, shell, , script = ''] = []] = calls;
  assert.deepEqual([calls.length, tool, file, shell], [1, 'nsenter', '--net=/proc/1/fd/9', 'sh']);
  assert.match(script, /THE RULES\nRULES\n/);
  assert.match(script, /ip -4 route replace local default dev lo table 539/);
  assert.doesNotMatch(script, /ip -6/);
});

test('the rules of a proxy that started later stay', async () => {
  assert.equal(await applyInPod(place, '', 5, runner({ stdout: 'superseded\n' }).run), 'superseded');
});

test('what is missing is said in words; no table is none', async () => {
  const stdout = 'missing ip -4 rule fwmark 0x539 lookup 539\n';
  assert.deepEqual(await readPod(place, runner({ stdout }).run), {
    structure: null,
    ownerMs: null,
    missing: ['ip -4 rule fwmark 0x539 lookup 539 is missing'],
  });
});

test('a failure is CAPTURE_FAILED with the words of the tool', async () => {
  const { run } = runner({ exitCode: 1, stderr: 'nsenter: reassociate to namespace failed: Operation not permitted' });
  await assert.rejects(removeFromPod(place, run), (error: unknown) => {
    assert(isMeshError(error) && error.code === 'CAPTURE_FAILED');
    assert.match(error.message, /Operation not permitted/);
    return true;
  });
});
