// AuthorizationPolicy as authors write it against what the data path then does.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { evaluate } from '../policy/evaluate.ts';
import { compileText, podText } from './testing-compile.ts';

const target = podText('shop/cart', '10.1.0.1', 'labels: {app: cart}');

interface Peer {
  readonly identity?: string;
  readonly ip?: string;
  readonly port?: number;
}

/** What `shop/cart` does with connections, and what the author of the given spec is told. */
function enforce(kind: string, spec: string, metadata = 'namespace: shop, name: p') {
  const header = `---\napiVersion: security.istio.io/v1\nkind: ${kind}\nmetadata: {${metadata}}\n`;
  const mesh = compileText(`${target}${header}spec:${spec.includes('\n') ? '' : ' '}${spec}\n`);
  const cart = mesh.index.workloadByAddress('10.1.0.1')!;
  const decide = ({ identity, ip = '10.1.0.9', port = 8080 }: Peer) =>
    evaluate(mesh.index.policiesFor(cart), {
      sourceIdentity: identity === undefined ? null : `spiffe://cluster.local/ns/${identity.replace('/', '/sa/')}`,
      sourceIp: ip,
      destinationIp: '10.1.0.1',
      destinationPort: port,
    });
  return { ...mesh, cart, decide, admits: (peer: Peer) => decide(peer).allowed };
}

const web: Peer = { identity: 'shop/web' };
const other: Peer = { identity: 'legacy/job' };
const plain: Peer = {};

// [what, spec, who is admitted, who is not, severities of the issues]
const authorizationRows: readonly (readonly [string, string, readonly Peer[], readonly Peer[], readonly string[]])[] = [
  ['ALLOW without rules', '{}', [], [web, plain], []],
  ['ALLOW everything', '{rules: [{}]}', [web, plain], [], []],
  ['DENY everything', '{action: DENY, rules: [{}]}', [], [web, plain], []],
  ['DENY without rules', '{action: DENY}', [web, plain], [], ['warning']],
  ['a selector that matches', '{selector: {matchLabels: {app: cart}}}', [], [web], []],
  ['a selector that does not', '{selector: {matchLabels: {app: web}}}', [web], [], []],
  [
    'principal',
    '{rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}]}]}',
    [web],
    [other, plain],
    [],
  ],
  ['principal *', '{rules: [{from: [{source: {principals: ["*"]}}]}]}', [web, other], [plain], []],
  ['principal suffix', '{rules: [{from: [{source: {principals: ["*/sa/web"]}}]}]}', [web], [other], []],
  ['principal prefix', '{rules: [{from: [{source: {principals: ["cluster.local/ns/shop/*"]}}]}]}', [web], [other], []],
  [
    'principal with scheme',
    '{rules: [{from: [{source: {principals: ["spiffe://cluster.local/ns/shop/sa/web"]}}]}]}',
    [web],
    [other],
    ['warning'],
  ],
  [
    'notPrincipals',
    '{rules: [{from: [{source: {notPrincipals: [cluster.local/ns/shop/sa/web]}}]}]}',
    [other, plain],
    [web],
    [],
  ],
  ['namespaces', '{rules: [{from: [{source: {namespaces: [shop]}}]}]}', [web], [other, plain], []],
  ['notNamespaces', '{action: DENY, rules: [{from: [{source: {notNamespaces: [shop]}}]}]}', [web], [other, plain], []],
  [
    'serviceAccounts of the own namespace',
    '{rules: [{from: [{source: {serviceAccounts: [web]}}]}]}',
    [web],
    [other],
    [],
  ],
  ['serviceAccounts elsewhere', '{rules: [{from: [{source: {serviceAccounts: [legacy/job]}}]}]}', [other], [web], []],
  [
    'ipBlocks',
    '{rules: [{from: [{source: {ipBlocks: [10.1.0.0/24, 10.9.9.9]}}]}]}',
    [plain, { ip: '10.9.9.9' }],
    [{ ip: '10.2.0.1' }],
    [],
  ],
  ['notIpBlocks', '{rules: [{from: [{source: {notIpBlocks: [10.1.0.0/24]}}]}]}', [{ ip: '10.2.0.1' }], [plain], []],
  ['ports', '{rules: [{to: [{operation: {ports: ["8080", 9090]}}]}]}', [web, { port: 9090 }], [{ port: 80 }], []],
  ['notPorts', '{action: DENY, rules: [{to: [{operation: {notPorts: ["8080"]}}]}]}', [web], [{ port: 80 }], []],
  [
    'from AND to',
    '{rules: [{from: [{source: {namespaces: [shop]}}], to: [{operation: {ports: ["8080"]}}]}]}',
    [web],
    [other, { ...web, port: 80 }],
    [],
  ],
  [
    'from OR from',
    '{rules: [{from: [{source: {namespaces: [shop]}}, {source: {ipBlocks: [10.2.0.1]}}]}]}',
    [web, { ip: '10.2.0.1' }],
    [other],
    [],
  ],
  [
    'rule OR rule',
    '{rules: [{from: [{source: {namespaces: [shop]}}]}, {to: [{operation: {ports: ["80"]}}]}]}',
    [web, { port: 80 }],
    [other],
    [],
  ],
  ['when source.ip', '{rules: [{when: [{key: source.ip, values: [10.1.0.0/16]}]}]}', [plain], [{ ip: '10.2.0.1' }], []],
  ['when source.namespace', '{rules: [{when: [{key: source.namespace, notValues: [shop]}]}]}', [other], [web], []],
  ['when source.principal', '{rules: [{when: [{key: source.principal, values: ["*"]}]}]}', [web], [plain], []],
  ['when destination.ip', '{rules: [{when: [{key: destination.ip, values: [10.1.0.1]}]}]}', [web], [], []],
  ['when destination.port', '{rules: [{when: [{key: destination.port, values: ["80"]}]}]}', [{ port: 80 }], [web], []],
  [
    'when AND when',
    '{rules: [{when: [{key: source.namespace, values: [shop]}, {key: destination.port, values: ["80"]}]}]}',
    [{ ...web, port: 80 }],
    [web, { ...other, port: 80 }],
    [],
  ],
  // What L4 does not see: ALLOW loses the rule, DENY keeps what is left.
  ['ALLOW with paths', '{rules: [{to: [{operation: {paths: [/x]}}]}]}', [], [web], ['error']],
  [
    'ALLOW with paths beside another rule',
    '{rules: [{to: [{operation: {methods: [GET]}}]}, {from: [{source: {namespaces: [shop]}}]}]}',
    [web],
    [other],
    ['error'],
  ],
  [
    'ALLOW with requestPrincipals in one source of two',
    '{rules: [{from: [{source: {namespaces: [shop]}}, {source: {requestPrincipals: ["*"]}}]}]}',
    [],
    [web],
    ['error'],
  ],
  [
    'ALLOW with a header condition',
    '{rules: [{from: [{source: {namespaces: [shop]}}], when: [{key: "request.headers[x]", values: [a]}]}]}',
    [],
    [web],
    ['error'],
  ],
  ['ALLOW when connection.sni', '{rules: [{when: [{key: connection.sni, values: [a]}]}]}', [], [web], ['error']],
  ['ALLOW with remoteIpBlocks', '{rules: [{from: [{source: {remoteIpBlocks: [10.0.0.0/8]}}]}]}', [], [web], ['error']],
  [
    'DENY with paths and a port',
    '{action: DENY, rules: [{to: [{operation: {paths: [/x], ports: ["80"]}}]}]}',
    [web],
    [{ port: 80 }],
    ['error'],
  ],
  ['DENY with paths alone', '{action: DENY, rules: [{to: [{operation: {paths: [/x]}}]}]}', [], [web, plain], ['error']],
  [
    'DENY with paths and a source',
    '{action: DENY, rules: [{from: [{source: {namespaces: [shop]}}], to: [{operation: {paths: [/x]}}]}]}',
    [other],
    [web],
    ['error'],
  ],
  [
    'DENY with hosts in one operation of two',
    '{action: DENY, rules: [{to: [{operation: {ports: ["80"]}}, {operation: {hosts: [a]}}]}]}',
    [],
    [web],
    ['error'],
  ],
  [
    'DENY with a claim condition alone',
    '{action: DENY, rules: [{when: [{key: "request.auth.claims[a]", notValues: [b]}]}]}',
    [],
    [web],
    ['error'],
  ],
  [
    'DENY with source.serviceAccount as a condition',
    '{action: DENY, rules: [{when: [{key: source.serviceAccount, values: [a]}], from: [{source: {namespaces: [shop]}}]}]}',
    [other],
    [web],
    ['error'],
  ],
  [
    'CUSTOM denies its L4 part',
    '{action: CUSTOM, provider: {name: x}, rules: [{to: [{operation: {ports: ["80"], paths: [/x]}}]}]}',
    [web],
    [{ port: 80 }],
    ['error', 'error'],
  ],
  ['AUDIT', '{action: AUDIT, rules: [{}]}', [web, plain], [], ['warning']],
  ['targetRefs', '{targetRefs: [{kind: Service, name: a, group: ""}], rules: []}', [web], [], ['warning']],
  [
    'targetRefs and a selector',
    '{targetRefs: [{kind: Service, name: a}], selector: {matchLabels: {app: cart}}}',
    [],
    [web],
    ['error'],
  ],
  // What cannot be read.
  ['ALLOW with a bad network', '{rules: [{from: [{source: {ipBlocks: [ten]}}]}]}', [], [plain], ['error']],
  [
    'ALLOW with one bad network of two',
    '{rules: [{from: [{source: {ipBlocks: [10.1.0.0/99, 10.1.0.9]}}]}]}',
    [plain],
    [{ ip: '10.1.0.8' }],
    ['error'],
  ],
  ['ALLOW but for a bad network', '{rules: [{from: [{source: {notIpBlocks: [ten]}}]}]}', [], [plain], ['error']],
  [
    'DENY a bad network',
    '{action: DENY, rules: [{from: [{source: {ipBlocks: [10.2.0.0/16, ten]}}]}]}',
    [],
    [plain, { ip: '10.2.0.1' }],
    ['error'],
  ],
  [
    'DENY a bad network on a port',
    '{action: DENY, rules: [{from: [{source: {ipBlocks: [ten]}}], to: [{operation: {ports: ["80"]}}]}]}',
    [web],
    [{ port: 80 }],
    ['error'],
  ],
  [
    'DENY but for a bad network',
    '{action: DENY, rules: [{from: [{source: {notIpBlocks: [10.1.0.9, ten]}}]}]}',
    [plain],
    [{ ip: '10.1.0.8' }],
    ['error'],
  ],
  ['ALLOW a bad port', '{rules: [{to: [{operation: {ports: ["http"]}}]}]}', [], [web], ['error']],
  ['DENY a bad port', '{action: DENY, rules: [{to: [{operation: {ports: ["70000"]}}]}]}', [], [web], ['error']],
  ['ALLOW a bad principal', '{rules: [{from: [{source: {principals: [web]}}]}]}', [], [web], ['error']],
  ['DENY a bad principal', '{action: DENY, rules: [{from: [{source: {principals: [web]}}]}]}', [], [web], ['error']],
  [
    'DENY a * in the middle',
    '{action: DENY, rules: [{from: [{source: {namespaces: ["s*p"]}}]}]}',
    [],
    [web],
    ['error'],
  ],
  ['ALLOW with an empty source', '{rules: [{from: [{source: {}}]}]}', [], [web], ['error']],
  ['ALLOW with an empty from', '{rules: [{from: []}]}', [], [web], ['error']],
  ['ALLOW with an empty list of principals', '{rules: [{from: [{source: {principals: []}}]}]}', [], [web], ['error']],
  ['DENY with an empty source', '{action: DENY, rules: [{from: [{source: {}}]}]}', [], [web], ['error']],
  ['ALLOW with a condition without values', '{rules: [{when: [{key: source.ip}]}]}', [], [web], ['error']],
  [
    'ALLOW with an unknown condition',
    '{rules: [{when: [{key: source.ipp, values: [10.0.0.0/8]}]}]}',
    [],
    [web],
    ['error'],
  ],
  [
    'DENY with an unknown condition',
    '{action: DENY, rules: [{when: [{key: constructor, values: [a]}]}]}',
    [],
    [web],
    ['error'],
  ],
];
for (const [what, spec, admitted, refused, severities] of authorizationRows) {
  test(`AuthorizationPolicy: ${what}`, () => {
    const mesh = enforce('AuthorizationPolicy', spec);
    for (const peer of admitted) assert.equal(mesh.admits(peer), true, `admits ${JSON.stringify(peer)}`);
    for (const peer of refused) assert.equal(mesh.admits(peer), false, `refuses ${JSON.stringify(peer)}`);
    assert.deepEqual(
      mesh.issues.map((issue) => issue.severity),
      severities,
    );
    for (const issue of mesh.issues) assert.ok(issue.place !== null && issue.fix !== '', issue.message);
  });
}

test('an issue names the place of the very value', () => {
  const mesh = enforce(
    'AuthorizationPolicy',
    '\n  rules:\n  - {}\n  - to:\n    - operation:\n        paths:\n        - /a\n    from:\n    - source:\n        ipBlocks:\n        - 10.0.0.1\n        - ten',
  );
  const base = target.split('\n').length + 4;
  assert.deepEqual(
    mesh.issues.map((issue) => [issue.message.split(':', 2).join(':'), issue.place?.line, issue.place?.column]),
    [
      ['rule 1: ipBlocks', base + 11, 11],
      ['rule 1: operation.paths is an HTTP attribute, which L4 does not see', base + 6, 9],
    ],
  );
});

test('the rule that is named is the one the author counts, beside rules that L4 dropped', () => {
  const spec = '{rules: [{to: [{operation: {paths: [/x]}}]}, {from: [{source: {namespaces: [shop]}}]}]}';
  assert.equal(enforce('AuthorizationPolicy', spec).decide(web).decidedBy?.rule, 1);
});

test('in a root namespace a policy holds for the mesh, and a selector looks everywhere', () => {
  for (const root of ['ambient-system', 'istio-system']) {
    const metadata = `namespace: ${root}, name: p`;
    const whole = enforce('AuthorizationPolicy', '{}', metadata);
    assert.equal(whole.policy(`${root}/p`)?.scope, 'global');
    assert.equal(whole.admits(web), false);
    const some = enforce('AuthorizationPolicy', '{selector: {matchLabels: {app: cart}}}', metadata);
    assert.equal(some.policy(`${root}/p`)?.scope, 'workload');
    assert.equal(some.admits(web), false);
  }
  assert.equal(enforce('AuthorizationPolicy', '{}', 'namespace: other, name: p').admits(web), true);
});

const dryRunRows = [
  ['"true"', true, 0],
  ['"false"', false, 0],
  ['"yes"', false, 1],
] as const;
for (const [value, isDry, issues] of dryRunRows) {
  test(`AuthorizationPolicy: istio.io/dry-run: ${value}`, () => {
    const metadata = `namespace: shop, name: p, annotations: {istio.io/dry-run: ${value}}`;
    const mesh = enforce('AuthorizationPolicy', '{action: DENY, rules: [{}]}', metadata);
    assert.deepEqual(
      [mesh.admits(web), mesh.decide(web).dryRun.length, mesh.issues.length],
      [isDry, isDry ? 1 : 0, issues],
    );
  });
}

for (const [what, spec, status, reason] of [
  ['what node proxies see', '{rules: [{from: [{source: {namespaces: [a]}}]}]}', 'True', 'Accepted'],
  ['what only HTTP has', '{rules: [{to: [{operation: {methods: [GET]}}]}]}', 'True', 'UnsupportedValue'],
  ['CUSTOM', '{action: CUSTOM, provider: {name: x}, rules: [{}]}', 'True', 'UnsupportedValue'],
  ['AUDIT', '{action: AUDIT, rules: [{}]}', 'False', 'UnsupportedValue'],
] as const) {
  test(`the condition of a policy at L4: ${what}`, () => {
    const text = `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {namespace: a, name: p}\nspec: ${spec}\n`;
    const [found, ...others] = compileText(text).compiler.statuses();
    assert.deepEqual(others, []);
    assert.deepEqual(
      found?.conditions.map((one) => [one.type, one.status, one.reason]),
      [['ZtunnelAccepted', status, reason]],
    );
  });
}
