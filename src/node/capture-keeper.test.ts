import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/manual-clock.ts';
import type { CaptureBackend, CaptureVerdict } from '../capture/backend.ts';
import { type DesiredCapture, noPodLinks } from '../capture/desired.ts';
import { createLogger } from '../telemetry/logger.ts';
import { CaptureKeeper } from './capture-keeper.ts';

const desired: DesiredCapture = {
  podCidrs: ['10.244.1.0/24'],
  bypass: [],
  links: noPodLinks,
  ports: { outbound: 1, inbound: 2, hbone: 3 },
  failOpen: false,
};

/** A kernel of which the test says what becomes of it. */
class TestBackend implements CaptureBackend {
  readonly applied: DesiredCapture[] = [];
  verdict: CaptureVerdict = { state: 'intact', findings: [] };
  failure: Error | null = null;

  async apply(next: DesiredCapture): Promise<void> {
    if (this.failure !== null) throw this.failure;
    this.applied.push(next);
    this.verdict = { state: 'intact', findings: [] };
  }

  async verify(): Promise<CaptureVerdict> {
    return this.verdict;
  }

  async remove(): Promise<void> {}

  pods(): readonly never[] {
    return [];
  }

  close(): void {}
}

function keep(isOn = true) {
  const backend = new TestBackend();
  const clock = new ManualClock(0);
  const log = createLogger({ level: 'silent', format: 'json' });
  const keeper = new CaptureKeeper({ backend, kind: 'host', isOn, clock, random: () => 0, log, onChange: () => {} });
  return { backend, clock, keeper };
}

/** Lets promises that are due settle. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('ready once applied and verified', async () => {
  const { keeper } = keep();
  assert.equal(keeper.isReady, false);
  await keeper.want(desired);
  assert.equal(keeper.isReady, true);
  assert.equal(keeper.view.state, 'applied');
});

test('drift is found by the periodic look, repaired and counted', async () => {
  const { backend, clock, keeper } = keep();
  await keeper.want(desired);
  backend.verdict = { state: 'drifted', findings: ['gone'] };
  clock.advance(10_000);
  await settle();
  assert.equal(keeper.repairs, 1);
  assert.equal(backend.applied.length, 2);
  assert.equal(keeper.isReady, true);
});

test('a failure is shown and tried again', async () => {
  const { backend, clock, keeper } = keep();
  backend.failure = new Error('no nft');
  await keeper.want(desired);
  assert.deepEqual([keeper.isReady, keeper.view.reason], [false, 'no nft']);
  backend.failure = null;
  clock.advance(250);
  await settle();
  assert.equal(keeper.isReady, true);
});

test('after close nothing is touched any more', async () => {
  const { backend, clock, keeper } = keep();
  await keeper.want(desired);
  await keeper.close();
  backend.verdict = { state: 'drifted', findings: ['gone'] };
  clock.advance(60_000);
  await keeper.want({ ...desired, bypass: ['10.244.1.9'] });
  assert.equal(backend.applied.length, 1);
});

test('without a backend there is nothing to wait for', async () => {
  const { backend, keeper } = keep(false);
  await keeper.want(desired);
  assert.deepEqual([keeper.isReady, keeper.view.state, backend.applied.length], [true, 'off', 0]);
});
