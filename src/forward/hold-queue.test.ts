import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HoldQueue } from './hold-queue.ts';

test('news of an address releases those who wait for it, and nobody else', () => {
  const holds = new HoldQueue({ heldConnectionsMax: 10, holdMs: 60_000 });
  const released: string[] = [];
  for (const address of ['10.0.0.1', '10.0.0.1', '10.0.0.2']) {
    holds.hold(address, '10.9.0.1', (known) => released.push(`${address} ${known}`));
  }
  holds.arrived('10.0.0.1');
  assert.deepEqual(released, ['10.0.0.1 true', '10.0.0.1 true']);
  assert.equal(holds.size, 1);
  holds.close();
  assert.deepEqual(released.at(-1), '10.0.0.2 false');
});

test('without news the time passes', async () => {
  const holds = new HoldQueue({ heldConnectionsMax: 10, holdMs: 10 });
  const known = await new Promise<boolean>((resolve) => holds.hold('10.0.0.1', '10.9.0.1', resolve));
  assert.equal(known, false);
  assert.equal(holds.size, 0);
});

test('who gives up is not called', () => {
  const holds = new HoldQueue({ heldConnectionsMax: 10, holdMs: 60_000 });
  const giveUp = holds.hold('10.0.0.1', '10.9.0.1', () => assert.fail('called'));
  giveUp();
  giveUp();
  holds.arrived('10.0.0.1');
  assert.equal(holds.size, 0);
});

test('one source has a quarter of the places, and gets them back', () => {
  const holds = new HoldQueue({ heldConnectionsMax: 8, holdMs: 60_000 });
  const giveUp = holds.hold('10.0.0.1', '10.9.0.1', () => {});
  holds.hold('10.0.0.2', '10.9.0.1', () => {});
  assert.throws(() => holds.hold('10.0.0.3', '10.9.0.1', () => {}), { code: 'LIMIT_REACHED', message: /10\.9\.0\.1/ });
  holds.hold('10.0.0.3', '10.9.0.2', () => {});
  giveUp();
  holds.hold('10.0.0.3', '10.9.0.1', () => {});
  holds.close();
  holds.hold('10.0.0.3', '10.9.0.1', () => {})();
  assert.equal(holds.size, 0);
});

test('more than heldConnectionsMax are refused', () => {
  const holds = new HoldQueue({ heldConnectionsMax: 1, holdMs: 60_000 });
  holds.hold('10.0.0.1', '10.9.0.1', () => {});
  assert.throws(() => holds.hold('10.0.0.2', '10.9.0.1', () => {}), { code: 'LIMIT_REACHED' });
  holds.close();
});

test('one who holds again while being released waits for the next news', () => {
  const holds = new HoldQueue({ heldConnectionsMax: 10, holdMs: 60_000 });
  let calls = 0;
  holds.hold('10.0.0.1', '10.9.0.1', () => {
    calls++;
    holds.hold('10.0.0.1', '10.9.0.1', () => calls++);
  });
  holds.arrived('10.0.0.1');
  assert.equal(calls, 1);
  holds.arrived('10.0.0.1');
  assert.equal(calls, 2);
});
