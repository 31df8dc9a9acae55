import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { joinPhases, noOutcome, planTests, type TestEvent } from './test-phases.ts';

const files = [
  'src/base/errors.test.ts',
  'src/h2/frames.test.ts',
  'test/direct/tunnel.test.ts',
  'test/lab/policy.test.ts',
  'test/lab/chaos.test.ts',
  'test/incidents/incidents.test.ts',
];

describe('planTests', () => {
  it('runs the lab after and apart from everything else', () => {
    assert.deepEqual(planTests(files, []), {
      parallel: files.slice(0, 3),
      paired: ['test/lab/policy.test.ts'],
      serial: files.slice(4),
      namePatterns: [],
    });
  });

  it('takes a part of a path as files, anything else as names of tests', () => {
    assert.deepEqual(planTests(files, ['./src/h2', 'half-close']), {
      parallel: ['src/h2/frames.test.ts'],
      paired: [],
      serial: [],
      namePatterns: ['half-close'],
    });
    assert.deepEqual(planTests(files, ['no such thing']).parallel, files.slice(0, 3));
  });

  it('refuses a path that no file has: as the name of a test it would start every lab and run nothing', () => {
    assert.throws(
      () => planTests(files, ['src/h2', 'test/lab/gone']),
      /no test file has 'test\/lab\/gone' in its path/,
    );
  });
});

function phase(tests: number, failed: number): () => AsyncGenerator<TestEvent> {
  return async function* () {
    for (let number = 1; number <= tests; number++) {
      yield { type: 'test:pass', data: { nesting: 0, testNumber: number, file: 'a.test.ts' } };
      yield { type: 'test:diagnostic', data: { nesting: 0, file: 'a.test.ts', message: 'tests 1' } };
    }
    const counts = { tests, suites: 1, passed: tests - failed, failed, topLevel: tests };
    yield { type: 'test:summary', data: { success: true, counts, file: 'a.test.ts' } };
    yield { type: 'test:plan', data: { nesting: 0, count: tests } };
    yield { type: 'test:diagnostic', data: { nesting: 0, message: `tests ${tests}` } };
    yield { type: 'test:diagnostic', data: { nesting: 0, message: 'duration_ms 1.5' } };
    yield { type: 'test:summary', data: { success: failed === 0, counts } };
  };
}

describe('joinPhases', () => {
  it('gives one summary with the sums, and numbers that go on', async () => {
    const outcome = noOutcome();
    const events = await Array.fromAsync(joinPhases([phase(2, 0), phase(1, 1)], outcome, () => 7));
    const numbers = events.filter((e) => e.type === 'test:pass').map((e) => e.data.testNumber);
    assert.deepEqual(numbers, [1, 2, 3]);
    const closing = events.filter((e) => e.type === 'test:diagnostic' && e.data.file === undefined);
    assert.deepEqual(
      closing.map((e) => e.data.message),
      ['tests 3', 'suites 2', 'pass 2', 'fail 1', 'cancelled 0', 'skipped 0', 'todo 0', 'duration_ms 0.000'],
    );
    assert.deepEqual(
      events.filter((e) => e.type === 'test:plan').map((e) => e.data.count),
      [3],
    );
    assert.equal(outcome.success, false);
    assert.equal(outcome.counts.failed, 1);
  });

  it('does not count a file in which nothing ran', async () => {
    const outcome = noOutcome();
    const empty = async function* (): AsyncGenerator<TestEvent> {
      yield { type: 'test:pass', data: { nesting: 0, testNumber: 1, name: '/x.test.ts', file: '/x.test.ts' } };
      yield { type: 'test:summary', data: { success: true, counts: { tests: 1, passed: 1, topLevel: 1 } } };
    };
    const events = await Array.fromAsync(joinPhases([empty], outcome));
    assert.equal(outcome.counts.tests, 0);
    assert.ok(!events.some((e) => e.type === 'test:pass'));
  });

  it('keeps what a file itself reported', async () => {
    const events = await Array.fromAsync(joinPhases([phase(1, 0)], noOutcome()));
    assert.ok(events.some((e) => e.type === 'test:diagnostic' && e.data.file === 'a.test.ts'));
  });
});
