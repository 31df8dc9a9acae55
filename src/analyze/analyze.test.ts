// Each analyzer on manifests that have what it looks for, and on ones that do not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { issueOf } from '../kube/findings.ts';
import { readLeniently } from '../kube/manifests.ts';
import { analyze } from './analyze.ts';
import { shop } from './testing-shop.ts';

interface Case {
  readonly title: string;
  readonly text: string;
  /** `CODE LINE` of every finding; the line counts from 1 in `text`. */
  readonly found: readonly string[];
  /** What one of the findings says. */
  readonly says?: RegExp;
}

const policy = (spec: string, name = 'p') =>
  `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: ${name}, namespace: shop}\nspec: ${spec}`;
const route = (name: string, service: string, rules: string) =>
  `apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: ${name}, namespace: shop}\n` +
  `spec:\n  parentRefs: [{group: "", kind: Service, name: ${service}}]\n  rules:\n${rules}`;
const toCart = '  - {backendRefs: [{name: cart, port: 80}]}';

const cases: readonly Case[] = [
  {
    title: 'nothing is wrong',
    text: policy('{selector: {matchLabels: {app: cart}}, action: DENY, rules: [{}]}'),
    found: [],
  },
  {
    title: 'a selector that selects nothing, and is nearly right',
    text: policy('{selector: {matchLabels: {app: crat}}, action: DENY, rules: [{}]}'),
    found: ['AMB1001 4'],
    says: /did you mean cart/,
  },
  {
    title: 'a policy for pods outside the mesh',
    text:
      'apiVersion: v1\nkind: Pod\nmetadata: {name: old, namespace: legacy, labels: {app: old}}\nspec: {containers: [{name: c, image: i}]}\n---\n' +
      policy('{selector: {matchLabels: {app: old}}, action: DENY, rules: [{}]}').replace(
        'namespace: shop',
        'namespace: legacy',
      ),
    found: ['AMB1002 9'],
    says: /Pod legacy\/old, the only one/,
  },
  {
    title: 'a service that selects nothing',
    text: 'apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: shop}\nspec:\n  selector: {app: none}\n  ports: [{port: 80}]',
    found: ['AMB1003 5'],
  },
  {
    title: 'a target port that no pod has',
    text: 'apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: shop}\nspec:\n  selector: {app: cart}\n  ports: [{name: http, port: 80, targetPort: wbe}]',
    found: ['AMB1004 6'],
    says: /did you mean web/,
  },
  {
    title: 'a port behind a waypoint whose protocol is guessed',
    text: 'apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: shop, labels: {ambient.mesh/use-waypoint: waypoint}}\nspec:\n  selector: {app: cart}\n  ports: [{port: 90, targetPort: 9000}]',
    found: ['AMB1005 6'],
  },
  {
    title: 'a port of a pod with two protocols',
    text: 'apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: shop}\nspec:\n  selector: {app: cart}\n  ports: [{name: grpc, port: 90, targetPort: web}]',
    found: ['AMB1006 6'],
  },
  {
    title: 'a namespace for sidecars and the mesh, with labels that disagree',
    text: 'apiVersion: v1\nkind: Namespace\nmetadata:\n  name: both\n  labels:\n    istio-injection: enabled\n    ambient.mesh/dataplane-mode: ambient\n    istio.io/dataplane-mode: none',
    found: ['AMB1007 6', 'AMB1008 8'],
  },
  {
    title: 'a pod on the network of its node, in an enrolled namespace',
    text: 'apiVersion: v1\nkind: Pod\nmetadata: {name: agent, namespace: shop}\nspec:\n  hostNetwork: true\n  containers: [{name: c, image: i}]',
    found: ['AMB1009 5'],
  },
  {
    title: 'a namespace and accounts that nobody is in or runs as',
    text: policy(
      '\n  rules:\n  - from:\n    - source:\n        namespaces: [shpo]\n        principals: [cluster.local/ns/shop/sa/crat]\n        serviceAccounts: [cart, cort]',
    ),
    found: ['AMB1010 8', 'AMB1011 9', 'AMB1011 10'],
    says: /namespace shop has cart; did you mean cart/,
  },
  { title: 'an ALLOW policy without rules', text: policy('{}'), found: ['AMB1012 4'] },
  { title: 'a route without a waypoint', text: route('r', 'bare', toCart), found: ['AMB1013 5'] },
  {
    title: 'two VirtualServices for one host',
    text: ['a', 'b']
      .map(
        (name) =>
          `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: ${name}, namespace: shop}\nspec: {hosts: [cart], http: [{route: [{destination: {host: cart}}]}]}`,
      )
      .join('\n---\n'),
    found: ['AMB1014 9'],
  },
  {
    title: 'a rule that an equal one shadows, and one that is narrower',
    text: route(
      'r',
      'cart',
      `  - {matches: [{path: {value: /a}}], backendRefs: [{name: cart, port: 80}]}\n  - {matches: [{path: {value: /a}}], backendRefs: [{name: cart, port: 80}]}\n  - {matches: [{path: {value: /a/b}}], backendRefs: [{name: cart, port: 80}]}`,
    ),
    found: ['AMB1015 8'],
    says: /rule 1 can never match: rule 0/,
  },
  {
    title: 'an old version',
    text: policy('{action: DENY, rules: [{}]}').replace('security.istio.io/v1', 'security.istio.io/v1beta1'),
    found: ['AMB1016 1'],
  },
  {
    title: 'a NetworkPolicy that keeps the tunnel out',
    text: 'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: n, namespace: shop}\nspec:\n  podSelector: {}\n  ingress:\n  - ports: [{port: 8080}]',
    found: ['AMB1017 7', 'AMB1026 7'],
  },
  {
    title: 'NetworkPolicies that let it in, by number, range, or by saying nothing of ports',
    text: [
      '[{ports: [{port: 15008}]}]',
      '[{ports: [{port: 8080, endPort: 20000}]}]',
      '[{from: [{podSelector: {}}]}]',
      '[]',
    ]
      .map(
        (ingress, at) =>
          `{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: n${at}, namespace: shop}, spec: {podSelector: {}, ingress: ${ingress}}}`,
      )
      .join('\n---\n'),
    found: [],
  },
  {
    title: 'what cannot be read does not hide the rest',
    text: `${policy('{action: DENIED}')}\n---\n${policy('{}', 'q')}`,
    found: ['AMB0001 4', 'AMB1012 9'],
  },
];

for (const { title, text, found, says } of cases) {
  test(`analyze: ${title}`, () => {
    const { resources, unused, errors } = readLeniently([
      { text: shop, file: 'shop.yaml' },
      { text, file: 'case.yaml' },
    ]);
    const issues = analyze({ resources, unused, unreadable: errors.map(issueOf) });
    const named = issues.map(({ code, place }) => `${code} ${place?.file === 'case.yaml' ? place.line : place?.file}`);
    assert.deepEqual(named.sort(), [...found].sort());
    if (says !== undefined)
      assert.ok(
        issues.some(({ message, fix }) => says.test(`${message}; ${fix}`)),
        JSON.stringify(issues),
      );
  });
}

test('analyze: findings come with the worst first', () => {
  const text = cases.map((one) => one.text).join('\n---\n');
  const { resources, unused, errors } = readLeniently([{ text: `${shop}${text}`, file: 'all.yaml' }]);
  const severities = analyze({ resources, unused, unreadable: errors.map(issueOf) }).map(({ severity }) => severity);
  const order = ['error', 'warning', 'info'];
  assert.deepEqual(
    severities,
    severities.toSorted((a, b) => order.indexOf(a) - order.indexOf(b)),
  );
});
