// The level at run time: what is refused, what goes back by itself, and what a second wish does to the first.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMeshError } from '../base/errors.ts';
import { type LogLevelView, loggingRoutes } from './log-level.ts';
import type { SimpleResponse } from './metrics-server.ts';

function scene() {
  const state = { level: 'info', configured: 'info' };
  const timers: { delayMs: number; action: () => void; isCancelled: boolean }[] = [];
  const holder = {
    current: () => state.level,
    configured: () => state.configured,
    set: (level: string) => {
      state.level = level;
    },
  };
  const routes = loggingRoutes(holder, (delayMs, action) => {
    const timer = { delayMs, action, isCancelled: false };
    timers.push(timer);
    return () => {
      timer.isCancelled = true;
    };
  });
  const ask = (method: 'GET' | 'POST', query = ''): LogLevelView => {
    const url = new URL(`http://x/logging${query}`);
    const answer = routes[`${method} /logging`]?.(url, new AbortController().signal, '') as SimpleResponse;
    return JSON.parse(answer.body);
  };
  return { state, timers, ask };
}

test('set, asked for, reset', () => {
  const { ask } = scene();
  assert.deepEqual(ask('GET'), { level: 'info', configured: 'info', until: null });
  assert.equal(ask('POST', '?level=debug').level, 'debug');
  assert.equal(ask('POST', '?reset=1').level, 'info');
});

test('for a time: it goes back to what is configured then, and the second wish is the one that counts', () => {
  const { state, timers, ask } = scene();
  assert.notEqual(ask('POST', '?level=debug&forMs=600000').until, null);
  assert.equal(ask('POST', '?level=trace&forMs=60000').level, 'trace');
  assert.deepEqual(
    timers.map(({ delayMs, isCancelled }) => [delayMs, isCancelled]),
    [
      [600_000, true],
      [60_000, false],
    ],
  );
  state.configured = 'warn';
  timers[1]?.action();
  assert.deepEqual(ask('GET'), { level: 'warn', configured: 'warn', until: null });
});

for (const query of ['', '?level=loud', '?level=debug&forMs=0', '?level=debug&forMs=soon', '?level=debug&forMs=1e12']) {
  test(`refused: ${query}`, () => {
    const { state, ask } = scene();
    assert.throws(
      () => ask('POST', query),
      (error) => isMeshError(error) && error.code === 'USAGE',
    );
    assert.equal(state.level, 'info');
  });
}
