// When a probe's verdict changes, on a clock that the test moves.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ManualClock } from '../base/manual-clock.ts';
import { Prober, type ProbeTiming } from './prober.ts';

const timing: ProbeTiming = {
  initialDelayMs: 0,
  periodMs: 10_000,
  timeoutMs: 1_000,
  successThreshold: 1,
  failureThreshold: 3,
};

/** A prober whose attempts answer what `outcome` says, and what it has said so far. */
function bench(overrides: Partial<ProbeTiming> = {}) {
  const clock = new ManualClock(0);
  const said: string[] = [];
  const state = { outcome: null as string | null, attempts: 0 };
  const attempt = () => {
    state.attempts++;
    return Promise.resolve(state.outcome);
  };
  const prober = new Prober(
    { ...timing, ...overrides },
    attempt,
    ({ passed, message }) => said.push(`${clock.now()} ${passed ? 'passed' : message}`),
    clock,
  );
  /** Moves time in steps small enough for every attempt to settle. */
  const advance = async (ms: number) => {
    const stepMs = 50;
    for (let moved = 0; moved < ms; moved += stepMs) {
      clock.advance(stepMs);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { prober, said, state, advance };
}

describe('prober', () => {
  test('passes at once, and keeps to its period from then on', async () => {
    const { prober, said, state, advance } = bench();
    prober.start();
    await advance(21_000);
    assert.deepEqual(said, ['50 passed']);
    assert.equal(state.attempts, 3);
  });

  test('is tried often until it has passed once', async () => {
    const { prober, said, state, advance } = bench();
    state.outcome = 'not yet';
    prober.start();
    await advance(1_000);
    state.outcome = null;
    await advance(400);
    assert.equal(said.length, 1);
    assert.match(said[0] ?? '', /passed$/);
  });

  test('quick tries in between do not count as failures', async () => {
    const { prober, said, state, advance } = bench();
    state.outcome = 'closed';
    prober.start();
    await advance(19_000);
    assert.equal(said.length, 0);
    await advance(2_000);
    assert.deepEqual(
      said.map((line) => line.split(' ').slice(1).join(' ')),
      ['closed'],
    );
  });

  test('fails after as many failures in a row as the threshold says', async () => {
    const { prober, said, state, advance } = bench({ failureThreshold: 2, periodMs: 1_000 });
    prober.start();
    await advance(500);
    state.outcome = 'closed';
    await advance(1_000);
    assert.equal(said.length, 1);
    await advance(1_000);
    assert.match(said[1] ?? '', /closed$/);
    state.outcome = null;
    await advance(1_200);
    assert.match(said[2] ?? '', /passed$/);
  });

  test('waits for its initial delay, and says nothing after close', async () => {
    const { prober, state, said, advance } = bench({ initialDelayMs: 3_000 });
    prober.start();
    await advance(2_900);
    assert.equal(state.attempts, 0);
    prober.close();
    await advance(5_000);
    assert.deepEqual([state.attempts, said], [0, []]);
  });
});
