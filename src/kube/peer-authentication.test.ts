// PeerAuthentication as authors write it against what the data path then does.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { evaluate } from '../policy/evaluate.ts';
import { compileText, podText } from './testing-compile.ts';

const target = podText('shop/cart', '10.1.0.1', 'labels: {app: cart}');

function peer(metadata: string, spec: string): string {
  return `---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {${metadata}}\nspec: ${spec}\n`;
}
const strict = 'ambient-system/istio_converted_static_strict';
const mesh = (mode: string, more = ''): string =>
  peer(`namespace: ambient-system, name: mesh${more}`, `{mtls: {mode: ${mode}}}`);
const space = (mode: string): string => peer('namespace: shop, name: space', `{mtls: {mode: ${mode}}}`);
const own = (spec: string, more = ''): string =>
  peer(`namespace: shop, name: own${more}`, `{selector: {matchLabels: {app: cart}}, ${spec}}`);
const ownPolicy = 'shop/converted_peer_authentication_own';
const exceptions = { notDestinationPorts: [8080] };
const noPeer = { notPrincipals: [{ kind: 'presence' }] };

// [what, objects, policies of the workload, ports that take plaintext, ports that do not]
const peerRows: readonly (readonly [string, string, readonly string[], readonly number[], readonly number[]])[] = [
  ['none', '', [], [80, 8080], []],
  ['mesh STRICT', mesh('STRICT'), [strict], [], [80]],
  ['mesh PERMISSIVE', mesh('PERMISSIVE'), [], [80], []],
  ['mesh DISABLE', mesh('DISABLE'), [], [80], []],
  ['mesh UNSET', mesh('UNSET'), [], [80], []],
  [
    'mesh in istio-system',
    peer('namespace: istio-system, name: default', '{mtls: {mode: STRICT}}'),
    [strict],
    [],
    [80],
  ],
  ['namespace STRICT', space('STRICT'), [strict], [], [80]],
  ['namespace PERMISSIVE over mesh STRICT', mesh('STRICT') + space('PERMISSIVE'), [], [80], []],
  ['namespace UNSET under mesh STRICT', mesh('STRICT') + space('UNSET'), [strict], [], [80]],
  ['another namespace STRICT', peer('namespace: other, name: x', '{mtls: {mode: STRICT}}'), [], [80], []],
  ['workload STRICT', own('mtls: {mode: STRICT}'), [strict], [], [80]],
  ['workload PERMISSIVE over namespace STRICT', space('STRICT') + own('mtls: {mode: PERMISSIVE}'), [], [80], []],
  ['workload DISABLE over mesh STRICT', mesh('STRICT') + own('mtls: {mode: DISABLE}'), [], [80], []],
  ['workload UNSET under namespace STRICT', space('STRICT') + own('mtls: {}'), [strict], [], [80]],
  [
    'a selector that does not match',
    peer('namespace: shop, name: x', '{selector: {matchLabels: {app: web}}, mtls: {mode: STRICT}}'),
    [],
    [80],
    [],
  ],
  [
    'STRICT, port PERMISSIVE',
    own('mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: PERMISSIVE}}'),
    [ownPolicy],
    [8080],
    [80],
  ],
  [
    'STRICT, port DISABLE',
    own('mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: DISABLE}}'),
    [ownPolicy],
    [8080],
    [80],
  ],
  [
    'STRICT, all ports STRICT',
    own('mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: STRICT}}'),
    [strict],
    [],
    [80, 8080],
  ],
  ['STRICT, port UNSET', own('mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: UNSET}}'), [strict], [], [80, 8080]],
  [
    'PERMISSIVE, port STRICT',
    own('mtls: {mode: PERMISSIVE}, portLevelMtls: {8080: {mode: STRICT}}'),
    [ownPolicy],
    [80],
    [8080],
  ],
  ['UNSET, port STRICT', own('portLevelMtls: {8080: {mode: STRICT}}'), [ownPolicy], [80], [8080]],
  [
    'DISABLE, port STRICT',
    own('mtls: {mode: DISABLE}, portLevelMtls: {8080: {mode: STRICT}}'),
    [ownPolicy],
    [80],
    [8080],
  ],
  ['PERMISSIVE, port UNSET', own('mtls: {mode: PERMISSIVE}, portLevelMtls: {8080: {mode: UNSET}}'), [], [80, 8080], []],
  [
    'UNSET under STRICT, port PERMISSIVE',
    mesh('STRICT') + own('portLevelMtls: {8080: {mode: PERMISSIVE}}'),
    [ownPolicy],
    [8080],
    [80],
  ],
  [
    'UNSET under STRICT, port STRICT',
    mesh('STRICT') + own('portLevelMtls: {8080: {mode: STRICT}}'),
    [strict],
    [],
    [80, 8080],
  ],
  [
    'PERMISSIVE under STRICT, port STRICT',
    mesh('STRICT') + own('mtls: {mode: PERMISSIVE}, portLevelMtls: {8080: {mode: STRICT}}'),
    [ownPolicy],
    [80],
    [8080],
  ],
  [
    'STRICT, two ports',
    own('mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: PERMISSIVE}, 80: {mode: STRICT}}'),
    [ownPolicy],
    [8080],
    [80],
  ],
  [
    'ports without a selector',
    peer('namespace: shop, name: x', '{portLevelMtls: {8080: {mode: STRICT}}}'),
    [strict],
    [],
    [80, 8080],
  ],
  [
    'the oldest of the workload wins',
    own('mtls: {mode: STRICT}', ', creationTimestamp: "2026-02-01T00:00:00Z"') +
      peer(
        'namespace: shop, name: a, creationTimestamp: "2026-01-01T00:00:00Z"',
        '{selector: {matchLabels: {app: cart}}, mtls: {mode: PERMISSIVE}}',
      ),
    [],
    [80],
    [],
  ],
  [
    'the oldest of the mesh wins',
    mesh('STRICT', ', creationTimestamp: "2026-02-01T00:00:00Z"') +
      peer(
        'namespace: istio-system, name: old, creationTimestamp: "2026-01-01T00:00:00Z"',
        '{mtls: {mode: PERMISSIVE}}',
      ),
    [],
    [80],
    [],
  ],
  [
    'one without a time is the newest',
    mesh('PERMISSIVE') +
      peer('namespace: istio-system, name: old, creationTimestamp: "2026-01-01T00:00:00Z"', '{mtls: {mode: STRICT}}'),
    [strict],
    [],
    [80],
  ],
];
for (const [what, objects, policies, open, closed] of peerRows) {
  test(`PeerAuthentication: ${what}`, () => {
    const compiled = compileText(target + objects);
    const cart = compiled.index.workloadByAddress('10.1.0.1')!;
    assert.deepEqual(cart.policies, policies);
    const effective = compiled.index.policiesFor(cart);
    assert.deepEqual(effective.missing, []);
    const admits = (sourceIdentity: string | null, destinationPort: number): boolean => {
      const connection = { sourceIdentity, sourceIp: '10.1.0.9', destinationIp: '10.1.0.1', destinationPort };
      return evaluate(effective, connection).allowed;
    };
    for (const port of open) assert.equal(admits(null, port), true, `plaintext on ${port}`);
    for (const port of closed) assert.equal(admits(null, port), false, `plaintext on ${port}`);
    for (const port of [...open, ...closed]) assert.equal(admits('spiffe://cluster.local/ns/a/sa/b', port), true);
  });
}

test('the generated policies have the form that ztunnel is sent', () => {
  const exceptText = own('mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: PERMISSIVE}}');
  const except = compileText(target + exceptText).policy(ownPolicy)!;
  assert.deepEqual([except.action, except.scope], ['deny', 'workload']);
  assert.deepEqual(except.rules, [{ clauses: [{ matches: [noPeer] }, { matches: [exceptions] }] }]);
  const on = compileText(target + own('portLevelMtls: {8080: {mode: STRICT}}')).policy(ownPolicy);
  assert.deepEqual(on?.rules, [{ clauses: [{ matches: [{ ...noPeer, destinationPorts: [8080] }] }] }]);
  const whole = compileText(target + mesh('STRICT')).policy(strict);
  assert.deepEqual(whole?.rules, [{ clauses: [{ matches: [noPeer] }] }]);
});

test('the object that makes a workload strict can be named, and one that is not obeyed is reported', () => {
  const second = peer('namespace: shop, name: zweite', '{mtls: {mode: PERMISSIVE}}');
  const compiled = compileText(target + mesh('PERMISSIVE') + space('STRICT') + second);
  const cart = compiled.index.workloadByAddress('10.1.0.1')!;
  assert.deepEqual(compiled.compiler.peerAuthenticationOf(cart), { namespace: 'shop', name: 'space' });
  assert.deepEqual(
    compiled.issues.map((issue) => [issue.severity, issue.name]),
    [['warning', 'zweite']],
  );
});
