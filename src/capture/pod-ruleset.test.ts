// The rules inside of a pod, as text; the kernel judges them in test/lab/in-pod.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endingText, type PodRules, podRulesetText, translatedText } from './pod-ruleset.ts';

const rules: PodRules = {
  ports: { outbound: 15001, inbound: 15006, hbone: 15008 },
  failOpen: false,
  nodeAddresses: ['10.80.0.11', 'fd80::b'],
};
const linesOf = (text: string): string[] => text.split('\n').map((line) => line.trim());

test('behind the redirections of each direction stands a reset, but where it may fail open', () => {
  const lines = linesOf(podRulesetText(rules, 7));
  for (const port of [15001, 15006]) {
    const last = lines.findLastIndex((line) => line.includes(`tproxy ip6 to :${port}`));
    assert.match(lines[last - 1] ?? '', new RegExp(`tproxy ip to :${port} meta mark set 0x539 accept$`));
    assert.match(lines[last + 1] ?? '', /^(iif lo meta mark 0x539 )?meta l4proto tcp counter reject with tcp reset$/);
  }
  const open = podRulesetText({ ...rules, failOpen: true }, 7);
  assert.match(open, /tproxy ip to :15006/);
  assert.doesNotMatch(open, /reject/);
});

test('the node itself passes, what was translated on it does not', () => {
  const text = podRulesetText(rules, 7);
  assert.match(text, /set node4 \{ type ipv4_addr; elements = \{ 10\.80\.0\.11 \}; \}/);
  assert.match(text, /ip6 saddr @node6 ip6 dscp != 0x2f accept/);
  const node = translatedText(['10.244.1.0/24'], { ownerMs: 7 });
  assert.match(node, /ip daddr \{ 10\.244\.1\.0\/24 \} .* ct status dnat ip dscp set 0x2f/);
  assert.match(node, /ct status snat ip dscp set 0x2f/);
  assert.doesNotMatch(node, /ip6 daddr|prerouting|tproxy/);
});

test('the proxy and the pod itself are not captured, in this order', () => {
  const lines = linesOf(podRulesetText(rules, 7));
  const leaving = lines.slice(lines.indexOf('chain leaving {'));
  const at = (text: string) => leaving.findIndex((line) => line.startsWith(text));
  assert(at('meta mark 0x53a accept') > 0 && at('meta mark 0x53a accept') < at('fib daddr type local accept'));
  assert.equal(at('meta mark set 0x539'), leaving.indexOf('}') - 1, 'everything else is');
});

test('a pod that leaves the mesh: what was captured is reset, what is new passes', () => {
  const text = endingText(7);
  assert.match(text, /ct mark \{ 0x539, 0x53c \} reject with tcp reset/);
  assert.doesNotMatch(text, /tproxy|prerouting/);
});
