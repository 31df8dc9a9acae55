import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReceiveWindow } from './flow.ts';

test('an end without bytes is taken also when our SETTINGS have made the window negative', () => {
  const window = new ReceiveWindow(65_535);
  assert.equal(window.receive(16), true);
  window.resize(7);
  assert.equal(window.available, -9);
  assert.equal(window.receive(0), true);
  assert.equal(window.receive(1), false);
});
