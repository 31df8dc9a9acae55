import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DesiredCapture } from './desired.ts';
import { bypassText, ownerChain, ownerOf, rulesetText } from './ruleset.ts';

const desired: DesiredCapture = {
  podCidrs: ['10.244.1.0/24', 'fd00:10:244:1::/64'],
  bypass: ['10.244.1.20', 'fd00:10:244:1::20'],
  ports: { outbound: 15001, inbound: 15006, hbone: 15008 },
  failOpen: false,
};

/** The lines of one chain, in order. */
function chain(text: string, name: string): string[] {
  const lines = text.split('\n');
  const start = lines.indexOf(`  chain ${name} {`);
  assert.notEqual(start, -1, `there is no chain ${name}`);
  return lines.slice(start + 1, lines.indexOf('  }', start)).map((line) => line.trim());
}

test('every tproxy rule is followed by a reset with the same match', () => {
  const lines = rulesetText(desired, 1).split('\n');
  const tproxies = lines.filter((line) => line.includes(' tproxy '));
  assert.equal(tproxies.length, 8);
  for (const line of tproxies) {
    const match = line.slice(0, line.indexOf(' meta l4proto tcp tproxy'));
    assert.equal(lines[lines.indexOf(line) + 1], `${match} counter reject with tcp reset`);
  }
});

test('failOpen leaves the resets out and nothing else', () => {
  const closed = rulesetText(desired, 1).split('\n');
  const open = rulesetText({ ...desired, failOpen: true }, 1).split('\n');
  assert.deepEqual(
    open,
    closed.filter((line) => !line.includes('reject')),
  );
});

test('the order: replies to us, our connections, replies, tunnels, what is never captured, pods', () => {
  const order = chain(rulesetText(desired, 1), 'before_dnat').map((line) => {
    if (line.startsWith('socket transparent')) return 'ours';
    if (line.startsWith('ct direction reply ct mark')) return 'to us';
    if (line.startsWith('ct direction reply')) return 'replies';
    if (line.includes('dport 15008')) return 'tunnel';
    if (line.includes('169.254') || line.includes('fe80')) return 'never';
    if (line.includes('saddr @pods')) return 'pods';
    return '';
  });
  const steps = order.filter((step, index) => step !== '' && step !== order[index - 1]);
  assert.deepEqual(steps, ['to us', 'ours', 'replies', 'tunnel', 'never', 'pods']);
});

test('a listener of the proxy does not count as one of our connections', () => {
  const lines = rulesetText(desired, 1)
    .split('\n')
    .filter((line) => line.includes('socket transparent 1'));
  assert.equal(lines.length, 2);
  for (const line of lines) assert.match(line, /socket transparent 1 socket wildcard 0/);
});

test('the table is replaced in the same transaction', () => {
  const text = rulesetText(desired, 1);
  assert.ok(text.indexOf('delete table inet ambient') < text.indexOf('table inet ambient {\n'));
});

test('the bypass text empties both sets before it fills them', () => {
  assert.equal(
    bypassText(desired),
    'flush set inet ambient bypass4\nflush set inet ambient bypass6\n' +
      'add element inet ambient bypass4 { 10.244.1.20 }\nadd element inet ambient bypass6 { fd00:10:244:1::20 }\n',
  );
  assert.equal(
    bypassText({ ...desired, bypass: [] }),
    'flush set inet ambient bypass4\nflush set inet ambient bypass6\n',
  );
});

test('the owner is in the name of a chain', () => {
  assert.equal(ownerOf(ownerChain(1763734730123)), 1763734730123);
  assert.equal(ownerOf('before_dnat'), null);
  assert.equal(ownerOf('owner_x'), null);
});

test('a connection from a client address is remembered, and its replies are delivered here wherever they come from', () => {
  const text = rulesetText(desired, 1);
  assert.deepEqual(chain(text, 'output').slice(1, 3), [
    'meta mark 0x53a ct state new ct mark set 0x539',
    'ct direction reply ct mark 0x53b meta mark set 0x539',
  ]);
  for (const name of ['before_dnat', 'after_dnat']) {
    const lines = chain(text, name);
    const ours = lines.indexOf('ct direction reply ct mark { 0x539, 0x53b } meta mark set 0x539 accept');
    assert.ok(ours > 0 && ours < lines.indexOf('ct direction reply accept'), name);
  }
});
