import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Proof } from '../capture/prove-client-address.ts';
import type { ToDataThread } from '../proxy/messages.ts';
import { createLogger } from '../telemetry/logger.ts';
import { ClientAddressKeeper, type ClientAddressOptions } from './client-address-keeper.ts';

const works: Proof = { works: true, reason: null };
const absent: Proof = { works: false, reason: null };
const fails: Proof = { works: false, reason: 'the kernel refuses' };

function keeperOf(
  setting: ClientAddressOptions['setting'],
  ipv4: Proof,
  ipv6: Proof,
  { isPossible = true, isInPlace = false } = {},
) {
  const said: ToDataThread[] = [];
  let tests = 0;
  const keeper = new ClientAddressKeeper({
    setting,
    isPossible,
    isInPlace: async () => isInPlace,
    log: createLogger({ level: 'silent', format: 'json' }),
    broadcast: (message) => said.push(message),
    prove: async (family) => {
      tests += 1;
      return family === 'ipv4' ? ipv4 : ipv6;
    },
  });
  return { keeper, said, tests: () => tests };
}

test('tested once, when the rules are in place, and said to the data threads', async () => {
  const { keeper, said, tests } = keeperOf('auto', works, works);
  assert.deepEqual([keeper.isAwaited, keeper.pending(), keeper.messages()], [true, 'not tried yet', []]);
  await keeper.captured(true);
  await keeper.captured(true);
  const message = { type: 'clientAddresses', ipv4: true, ipv6: true };
  assert.deepEqual([tests(), said, keeper.messages(), keeper.pending()], [2, [message], [message], null]);
  assert.deepEqual(keeper.view, { setting: 'auto', ipv4: true, ipv6: true, reason: null });
});

test('a family that the machine does not have is no failure', async () => {
  const { keeper } = keeperOf('on', works, absent);
  await keeper.captured(true);
  assert.deepEqual([keeper.view.ipv6, keeper.view.reason, keeper.pending()], [false, null, null]);
});

test('where it does not work: auto goes on without, on is not ready', async () => {
  for (const [setting, pending] of [
    ['auto', null],
    ['on', 'the kernel refuses'],
  ] as const) {
    const { keeper, said } = keeperOf(setting, fails, fails);
    await keeper.captured(true);
    assert.deepEqual(said, [{ type: 'clientAddresses', ipv4: false, ipv6: false }]);
    assert.deepEqual([keeper.view.reason, keeper.pending()], ['the kernel refuses', pending]);
  }
});

test('without capture the data threads do not wait, and it is tested when capture is there', async () => {
  const { keeper, said, tests } = keeperOf('auto', works, works);
  await keeper.captured(false);
  await keeper.captured(false);
  assert.deepEqual([said, tests()], [[{ type: 'clientAddresses', ipv4: false, ipv6: false }], 0]);
  await keeper.captured(true);
  assert.deepEqual(said.at(-1), { type: 'clientAddresses', ipv4: true, ipv6: true });
  assert.equal(keeper.view.reason, null);
});

test('switched off, or without capture at all, nothing is tested or waited for', async () => {
  for (const [setting, isPossible] of [
    ['off', true],
    ['auto', false],
  ] as const) {
    const { keeper, said, tests } = keeperOf(setting, works, works, { isPossible, isInPlace: true });
    await keeper.begin();
    await keeper.captured(true);
    assert.deepEqual([keeper.isAwaited, keeper.pending(), said, tests()], [false, null, [], 0]);
  }
});

test('rules of the last proxy: tested at once, and not again', async () => {
  const { keeper, said, tests } = keeperOf('auto', works, works, { isInPlace: true });
  await keeper.begin();
  await keeper.captured(true);
  assert.deepEqual([said, tests()], [[{ type: 'clientAddresses', ipv4: true, ipv6: true }], 2]);
});

test('no rules yet, or rules that do not do: nothing is said before capture was tried', async () => {
  for (const [proof, isInPlace] of [
    [works, false],
    [fails, true],
  ] as const) {
    const { keeper, said } = keeperOf('auto', proof, works, { isInPlace });
    await keeper.begin();
    assert.deepEqual(said, []);
    await keeper.captured(true);
    assert.equal(said.length, 1);
  }
});
