// `ambientctl test` without a mesh: which proofs are chosen, what is printed of them, and what CI reads.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshError } from '../base/errors.ts';
import type { CliIo } from './io.ts';
import type { ProofBed } from './proofs/bed.ts';
import { allAnswered, type Proof } from './proofs/proofs.ts';
import { junitText, type ProofResult, runProofs } from './proofs/run.ts';
import { chosenProofs, testResult } from './test.ts';
import { assertGolden, assertGoldenResult } from './testing-golden.ts';
import { runInProcess } from './testing-run.ts';

const title = 'a <thing> holds & "stays"';
const action = (what: string, reason: string | null) => ({ what, run: () => Promise.resolve(reason) });
const bed = {} as ProofBed;

function proof(name: string, given: Partial<Proof> = {}): Proof {
  return { name, title, actions: () => [action('it is asked', null)], next: () => `ambientctl why ${name}`, ...given };
}

async function run(proofs: readonly Proof[], signal = new AbortController().signal): Promise<[ProofResult[], string]> {
  let said = '';
  const io = { stderr: { write: (text: string) => (said += text) }, stderrColour: false } as unknown as CliIo;
  const results = await runProofs(io, bed, proofs, { disruptive: false, signal });
  return [results.map((one) => ({ ...one, tookMs: 1500 })), said];
}

test('what came of proofs, in every format, as it goes on, and for CI', async () => {
  const cleaned: string[] = [];
  const [results, said] = await run([
    proof('one'),
    proof('two', {
      actions: () => [action('first', null), action('second', 'answer 503'), action('third', null)],
      after: async () => void cleaned.push('two'),
    }),
    proof('three', { skip: () => 'there is one node alone' }),
    proof('four', { disruptive: true }),
    proof('five', { actions: () => [{ what: 'it is thrown', run: () => Promise.reject(new TypeError('no')) }] }),
  ]);
  assert.deepEqual(cleaned, ['two']);
  assert.deepEqual(said.match(/^\[\d\/5\] \w+: .* … (holds|fails|skipped: .*?)( \(|$)/gm)?.length, 5, said);
  assert.match(said, / {8}second: answer 503\n {8}look at: ambientctl why two\n/);
  assert.equal(testResult(results).exitCode, 1);
  await assertGoldenResult('test', testResult(results));
  assertGolden('test.junit.txt', junitText(results));
  assert.equal(testResult(results.slice(0, 1)).exitCode, 0);
});

test('Ctrl-C ends it after what runs, and what that has made is taken away', async () => {
  const interrupt = new AbortController();
  const cleaned: string[] = [];
  const running = proof('one', {
    actions: () => [
      {
        what: 'it is interrupted',
        run: () => {
          interrupt.abort('SIGINT');
          return Promise.reject(new Error('in the middle'));
        },
      },
    ],
    after: async () => void cleaned.push('one'),
  });
  await assert.rejects(run([running, proof('two')], interrupt.signal), { name: 'AbortError' });
  assert.deepEqual(cleaned, ['one']);
});

test('work under load that fails ends the load, and says why', async () => {
  let asked = 0;
  const answered = {
    ask: async () => Array.from({ length: 40 }, () => ({ status: ++asked % 1000 === 0 ? null : 200 })),
  };
  const failing = Promise.reject(new MeshError('NOT_FOUND', { what: 'DaemonSet ambient-node', hint: 'see' }));
  await assert.rejects(allAnswered(answered as unknown as ProofBed, failing), /DaemonSet ambient-node is not there/);
  assert.equal(asked, 80, 'once, and once more');
  assert.equal(
    await allAnswered(answered as unknown as ProofBed, Promise.resolve('it is still there')),
    'it is still there',
  );
});

test('proofs are chosen by name, or all but those', async () => {
  const names = (text?: string) => chosenProofs(text).map(({ name }) => name);
  assert.deepEqual(names('^waypoint-(split|retry)$'), ['waypoint-split', 'waypoint-retry']);
  assert.deepEqual(
    names('!waypoint').filter((name) => name.startsWith('waypoint')),
    [],
  );
  assert.equal(new Set(names()).size, names().length);
  const list = await runInProcess(['test', '--list']);
  assert.equal(list.code, 0);
  assertGolden('test-list.txt', list.out);
  for (const [args, err] of [
    [['--test', '('], /--test '\(' is no pattern/],
    [['--test', 'nothing'], /names no proof; there are same-node, /],
    [['--lab', 'no-such-lab'], /'no-such-lab' is not there/],
  ] as const) {
    const { code, err: said } = await runInProcess(['test', ...args]);
    assert.notEqual(code, 0);
    assert.match(said, err);
  }
});
