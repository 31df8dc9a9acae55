import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DesiredCapture, noPodLinks } from './desired.ts';
import { addressesText, ownerChain, ownerOf, rulesetText, settingOf } from './ruleset.ts';

const desired: DesiredCapture = {
  podCidrs: ['10.244.1.0/24', 'fd00:10:244:1::/64'],
  bypass: ['10.244.1.20', 'fd00:10:244:1::20'],
  links: noPodLinks,
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
  const lines = rulesetText(desired, { ownerMs: 1 }).split('\n');
  const tproxies = lines.filter((line) => line.includes(' tproxy '));
  assert.equal(tproxies.length, 8);
  for (const line of tproxies) {
    const match = line.slice(0, line.indexOf(' meta l4proto tcp tproxy'));
    assert.equal(lines[lines.indexOf(line) + 1], `${match} counter reject with tcp reset`);
  }
});

test('failOpen leaves the resets out and nothing else', () => {
  const closed = rulesetText(desired, { ownerMs: 1 }).split('\n');
  const open = rulesetText({ ...desired, failOpen: true }, { ownerMs: 1 }).split('\n');
  assert.deepEqual(
    open,
    closed.filter((line) => !line.includes('reject')),
  );
});

test('the order: replies to us, our connections, replies, tunnels, what is never captured, pods', () => {
  const order = chain(rulesetText(desired, { ownerMs: 1 }), 'before_dnat').map((line) => {
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
  const lines = rulesetText(desired, { ownerMs: 1 })
    .split('\n')
    .filter((line) => line.includes('socket transparent 1'));
  assert.equal(lines.length, 2);
  for (const line of lines) assert.match(line, /socket transparent 1 socket wildcard 0/);
});

test('the table is replaced in the same transaction', () => {
  const text = rulesetText(desired, { ownerMs: 1 });
  assert.ok(text.indexOf('delete table inet ambient') < text.indexOf('table inet ambient {\n'));
});

test('the text for other addresses empties each set before it fills it', () => {
  assert.deepEqual(addressesText(desired).split('\n'), [
    'flush set inet ambient pods4',
    'add element inet ambient pods4 { 10.244.1.0/24 }',
    'flush set inet ambient pods6',
    'add element inet ambient pods6 { fd00:10:244:1::/64 }',
    'flush set inet ambient bypass4',
    'add element inet ambient bypass4 { 10.244.1.20 }',
    'flush set inet ambient bypass6',
    'add element inet ambient bypass6 { fd00:10:244:1::20 }',
    '',
  ]);
  assert.doesNotMatch(addressesText({ ...desired, bypass: [] }), /add element inet ambient bypass/);
});

test('links of pods: by any of them is captured, whatever the address; towards one that is not known nothing goes', () => {
  const links = { bridges: [], bridgeHooks: false, otherLinks: ['eth0'] };
  const text = rulesetText({ ...desired, links }, { ownerMs: 1 });
  const captured = chain(text, 'before_dnat').filter((line) => line.includes('iifkind'));
  assert.equal(captured.length, 4);
  for (const line of captured) assert.match(line, /^meta iifkind "veth" iifname != \{ "eth0" \} ip6? saddr != @bypass/);
  assert.deepEqual(chain(text, 'unknown_pods').slice(-2), [
    'meta oifkind "veth" oifname != { "eth0" } ip daddr != @bypass4 counter drop',
    'meta oifkind "veth" oifname != { "eth0" } ip6 daddr != @bypass6 counter drop',
  ]);
  assert.doesNotMatch(rulesetText({ ...desired, links, failOpen: true }, { ownerMs: 1 }), /drop/);
  assert.doesNotMatch(text, /bridge/);
});

test('a bridge of pods: their TCP comes up to this machine, and gets its socket back', () => {
  const bridges = [{ name: 'cni0', mac: '02:00:00:00:00:01', networks: ['10.244.1.0/24', 'fd00:10:244:1::/64'] }];
  const text = rulesetText({ ...desired, links: { bridges, bridgeHooks: true, otherLinks: [] } }, { ownerMs: 1 });
  assert.deepEqual(
    chain(text, 'up').filter((line) => line.startsWith('ip ')),
    ['saddr', 'daddr'].map(
      (end) =>
        `ip ${end} 10.244.1.0/24 ip ${end} != @bypass4 meta l4proto tcp ` +
        'ether daddr set 02:00:00:00:00:01 meta pkttype set host accept',
    ),
  );
  const again = chain(text, 'by_bridge').filter((line) => line.startsWith('ip '));
  const ports = again.map((line) => / to :(\d+) accept$/.exec(line)?.[1]);
  assert.deepEqual(ports, ['15008', '15001', '15006']);
  const before = { ownerMs: 1, hasBridgeTable: true };
  assert.match(rulesetText(desired, before), /delete table bridge ambient/, 'no bridge is left: its table goes');
});

test('what a setting of the kernel was is in the name of a chain', () => {
  const text = rulesetText(desired, { ownerMs: 1, settings: { tcp_migrate_req: '0' } });
  const [, name = ''] = /chain (was_\w+) \{\}/.exec(text) ?? [];
  assert.deepEqual(settingOf(name), ['tcp_migrate_req', '0']);
  assert.deepEqual([settingOf('before_dnat'), settingOf('was_x')], [null, null]);
});

test('the owner is in the name of a chain', () => {
  assert.equal(ownerOf(ownerChain(1763734730123)), 1763734730123);
  assert.equal(ownerOf('before_dnat'), null);
  assert.equal(ownerOf('owner_x'), null);
});

test('a connection from a client address is remembered, and its replies are delivered here wherever they come from', () => {
  const text = rulesetText(desired, { ownerMs: 1 });
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
