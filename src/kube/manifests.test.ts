import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isMeshError } from '../base/errors.ts';
import { readManifests, titleOf } from './manifests.ts';

function read(text: string) {
  return readManifests([{ text, file: 'm.yaml' }]);
}

test('documents, lists, typed lists and JSON are read alike', () => {
  const account = (name: string): string => `{apiVersion: v1, kind: ServiceAccount, metadata: {name: ${name}}}`;
  const text = `${account('a')}
---
apiVersion: v1
kind: List
items: [${account('b')}, {apiVersion: v1, kind: List, items: [${account('c')}]}]
---
apiVersion: v1
kind: ServiceAccountList
items: [{metadata: {name: d, namespace: other}}]
---
`;
  assert.deepEqual(read(text).resources.map(titleOf), [
    'ServiceAccount default/a',
    'ServiceAccount default/b',
    'ServiceAccount default/c',
    'ServiceAccount other/d',
  ]);
  const json = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'x', labels: { a: 'b' } } };
  const [space] = read(JSON.stringify(json)).resources;
  assert.deepEqual([space?.namespace, space?.name, space?.labels, space?.raw], ['', 'x', { a: 'b' }, json]);
  assert.deepEqual(read('').resources, []);
});

test('kinds that are not used are counted, also those that share a name with one that is', () => {
  const text = `{apiVersion: v1, kind: ConfigMap}
---
{apiVersion: v1, kind: ConfigMap}
---
{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: a}}
---
{apiVersion: policy.linkerd.io/v1alpha1, kind: AuthorizationPolicy, metadata: {name: a}}
`;
  assert.deepEqual(read(text), {
    resources: [],
    ignored: [
      { kind: 'AuthorizationPolicy.policy.linkerd.io', count: 1 },
      { kind: 'ConfigMap', count: 2 },
      { kind: 'Service.serving.knative.dev', count: 1 },
    ],
  });
});

const head = (kind: string, version = 'v1'): string => `apiVersion: ${version}\nkind: ${kind}\nmetadata:\n  name: a\n`;
const policy = head('AuthorizationPolicy', 'security.istio.io/v1');
const peer = head('PeerAuthentication', 'security.istio.io/v1beta1');

// [text, line:column, message]
const errorRows = [
  ['kind: Pod', '1:1', 'the object must have the field apiVersion'],
  ['apiVersion: v1', '1:1', 'the object must have the field kind'],
  ['- a', '1:1', 'the object must be a mapping, not a list'],
  ['just words', '1:1', 'the object must be a mapping, not "just words"'],
  ['apiVersion: v1\nkind: Pod\nmetadata: {}', '3:11', 'metadata must have the field name'],
  [
    'apiVersion: v1\nkind: Pod\nmetadata:\n  name: Web',
    '4:9',
    'metadata.name must be a name of lower-case letters, digits, - and ., not "Web"',
  ],
  [
    'apiVersion: v1\nkind: Pod\nmetadata:\n  name: a/b',
    '4:9',
    'metadata.name must be a name of lower-case letters, digits, - and ., not "a/b"',
  ],
  [`${head('Pod')}  labels: {on: 1}`, '5:16', 'metadata.labels.on must be a string, not 1; put it in quotes'],
  [
    `${head('Pod')}  creationTimestamp: soon`,
    '5:22',
    'metadata.creationTimestamp must be a time such as 2026-01-31T12:00:00Z, not "soon"',
  ],
  [`${head('Pod')}spec:\n  hostNetwork: maybe`, '6:16', 'spec.hostNetwork must be true or false, not "maybe"'],
  [
    `${head('Pod')}spec:\n  containers:\n  - ports:\n    - containerPort: http`,
    '8:22',
    'spec.containers.0.ports.0.containerPort must be a whole number from 1 to 65535, not "http"',
  ],
  [`${head('Pod')}status:\n  podIP: 10.0.0`, '6:10', 'status.podIP must be an IP address, not "10.0.0"'],
  [
    `${head('Pod')}status: {phase: Runing}`,
    '5:17',
    'status.phase must be one of Pending, Running, Succeeded, Failed, Unknown, not "Runing"; did you mean Running?',
  ],
  [`${head('Deployment', 'apps/v1beta1')}`, '1:13', 'apiVersion must be apps/v1 for Deployment, not "apps/v1beta1"'],
  [
    `${head('Service')}spec:\n  ports:\n  - port: 70000`,
    '7:11',
    'spec.ports.0.port must be a whole number from 1 to 65535, not 70000',
  ],
  [`${head('Service')}spec: {clusterIP: x}`, '5:19', 'spec.clusterIP must be an IP address, not "x"'],
  [`${head('Service')}spec: {ports: {port: 80}}`, '5:15', 'spec.ports must be a list, not a mapping'],
  [
    `${head('EndpointSlice', 'discovery.k8s.io/v1')}addressType: IP`,
    '5:14',
    'addressType must be one of IPv4, IPv6, FQDN, not "IP"',
  ],
  [`${head('Node')}spec: {podCIDR: ten}`, '5:7', 'spec.podCIDRs must be networks such as 10.0.0.0/24, not "ten"'],
  [`${policy}spec:\n  action: REFUSE`, '6:11', 'spec.action must be one of ALLOW, DENY, AUDIT, CUSTOM, not "REFUSE"'],
  [`${policy}spec:\n  rule: []`, '6:3', 'spec.rule is no known field; did you mean rules?'],
  [`${policy}spec:\n  rules:\n  - form: []`, '7:5', 'spec.rules.0.form is no known field; did you mean from?'],
  [
    `${policy}spec:\n  rules:\n  - from:\n    - principals: [a]`,
    '8:7',
    'spec.rules.0.from.0.principals is no known field',
  ],
  [
    `${policy}spec:\n  rules:\n  - from:\n    - source:\n        namespace: [a]`,
    '9:9',
    'spec.rules.0.from.0.source.namespace is no known field; did you mean namespaces?',
  ],
  [
    `${policy}spec:\n  rules:\n  - to:\n    - operation:\n        ports: "80"`,
    '9:16',
    'spec.rules.0.to.0.operation.ports must be a list, not "80"',
  ],
  [`${policy}spec:\n  selector:\n    matchExpressions: []`, '7:5', 'spec.selector.matchExpressions is no known field'],
  [`${policy}spec:\n  rules:\n  -`, '7:4', 'spec.rules.0 must be a mapping, not nothing'],
  [
    `${peer}spec:\n  mtls:\n    mode: STRICKT`,
    '7:11',
    'spec.mtls.mode must be one of UNSET, DISABLE, PERMISSIVE, STRICT, not "STRICKT"; did you mean STRICT?',
  ],
  [
    `${peer}spec:\n  portLevelMtls:\n    http: {mode: STRICT}`,
    '7:11',
    'spec.portLevelMtls.http must be a port from 1 to 65535',
  ],
  [
    head('AuthorisationPolicy', 'security.istio.io/v1'),
    '2:7',
    'kind is no kind of security.istio.io: "AuthorisationPolicy"; did you mean AuthorizationPolicy?',
  ],
  [
    head('AuthorizationPolicy', 'security.istio.io/v2'),
    '1:13',
    'apiVersion must be security.istio.io/v1 or security.istio.io/v1beta1 for AuthorizationPolicy, not "security.istio.io/v2"',
  ],
  [
    `${head('Namespace')}---\n${head('Namespace')}`,
    '6:1',
    'Namespace a is there twice; the other one is at m.yaml:1:1',
  ],
] as const;
for (const [text, place, message] of errorRows) {
  test(`${JSON.stringify(text)} is refused at ${place}`, () => {
    assert.throws(
      () => read(text),
      (error: unknown) => {
        assert.ok(isMeshError(error), String(error));
        assert.equal(error.message, `m.yaml:${place}: ${message}`);
        assert.equal(error.code, 'CONFIG_INVALID');
        return true;
      },
    );
  });
}

test('a syntax error names its place, and an object of two files names both', () => {
  assert.throws(() => read('a: [1'), { code: 'INPUT_UNREADABLE', message: /^m\.yaml:1:6: / });
  const text = head('Namespace');
  const both = [
    { text, file: 'one.yaml' },
    { text: `# second\n${text}`, file: 'two.yaml' },
  ];
  assert.throws(() => readManifests(both), {
    message: 'two.yaml:2:1: Namespace a is there twice; the other one is at one.yaml:1:1',
  });
});

test('whatever the text, what comes out is resources or an error of ours', () => {
  const words = fc.constantFrom(
    'apiVersion: v1',
    'kind: Pod',
    'kind: List',
    'items:',
    '- a',
    'metadata: {name: x}',
    '---',
    '  spec:',
    '[',
    '"',
    '\t',
    '&a',
    '*a',
    '<<: *a',
    'status: 1',
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(words, fc.string()), { maxLength: 8 }), (lines) => {
      try {
        read(lines.join('\n'));
      } catch (error) {
        assert.ok(isMeshError(error) && error.code !== 'INTERNAL', String(error));
      }
    }),
    { numRuns: 500 },
  );
});

test('whatever the values, what comes out is resources or an error of ours', () => {
  const kinds = ['Node', 'Namespace', 'Pod', 'Deployment', 'Service', 'EndpointSlice', 'AuthorizationPolicy'];
  const versions = ['v1', 'apps/v1', 'discovery.k8s.io/v1', 'security.istio.io/v1'];
  const keys = ['spec', 'status', 'rules', 'from', 'ports', 'labels', 'endpoints', 'template', 'containers', 'x'];
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof({ maxDepth: 5 }, fc.constantFrom<unknown>(null, 1, 'a', true), tie('list'), tie('mapping')),
    list: fc.array(tie('value'), { maxLength: 2 }),
    mapping: fc.dictionary(fc.constantFrom(...keys), tie('value'), { maxKeys: 3 }),
  }));
  const mapping = fc.dictionary(fc.constantFrom(...keys), value);
  fc.assert(
    fc.property(fc.constantFrom(...kinds), fc.constantFrom(...versions), mapping, (kind, apiVersion, rest) => {
      try {
        read(JSON.stringify({ apiVersion, kind, metadata: { name: 'a' }, ...rest }));
      } catch (error) {
        assert.ok(isMeshError(error) && error.code === 'CONFIG_INVALID', String(error));
      }
    }),
    { numRuns: 500 },
  );
});
