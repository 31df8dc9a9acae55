// How long a session that has ended keeps its transport: what is queued may be the end of a stream that ended well.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import { goawayCode, ping, started } from './testing-wire.ts';

/** Second by second: a timer that is set on the way has to see it. */
function pass(seconds: number): void {
  for (let i = 0; i < seconds; i++) mock.timers.tick(1000);
}

describe('the end of a session', () => {
  beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
  afterEach(() => mock.timers.reset());

  it('leaves the peer a second to close', async () => {
    const { wire, session } = await started('server');
    session.close();
    mock.timers.tick(999);
    assert.deepEqual([wire.ended, wire.destroyed], [true, false]);
    mock.timers.tick(1);
    assert.equal(wire.destroyed, true);
  });

  it('waits for a transport that is slow as long as it takes something', async () => {
    const { wire, session } = await started('server');
    wire.bufferedBytes = 5000;
    session.close();
    for (; wire.bufferedBytes > 0; wire.bufferedBytes -= 100) {
      mock.timers.tick(1000);
      assert.equal(wire.destroyed, false, `${wire.bufferedBytes} bytes were lost`);
    }
    pass(2);
    assert.equal(wire.destroyed, true);
  });

  it('gives a transport up that takes nothing', async () => {
    const { wire, session } = await started('server');
    wire.bufferedBytes = 5000;
    session.close();
    pass(15);
    assert.equal(wire.destroyed, false);
    pass(10);
    assert.equal(wire.destroyed, true);
  });

  it('waits for no peer that broke the protocol', async () => {
    const { wire } = await started('server');
    wire.bufferedBytes = 5000;
    wire.feed(...Array.from({ length: 300 }, () => ping));
    assert.equal(goawayCode(await wire.sent()), 11);
    mock.timers.tick(1000);
    assert.equal(wire.destroyed, true);
  });
});
