// What `--fix` writes: the finding is gone, no other one has come, and nothing else in the file has changed.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { issueOf } from '../kube/findings.ts';
import { readLeniently } from '../kube/manifests.ts';
import type { FindingCode } from '../model/finding-codes.ts';
import { analyze } from './analyze.ts';
import { fixManifests } from './fix.ts';
import { acrossRows } from './testing-across-rows.ts';
import { objectRows } from './testing-object-rows.ts';
import { shop } from './testing-shop.ts';

/** Manifests with a place for a word, as people write them: `<wrong|right>`. */
const templates: readonly (readonly [code: FindingCode, text: string])[] = [
  [
    'AMB0101',
    `apiVersion: v1
kind: Namespace
metadata:
  name: more
  labels:
    # of the team
    team: "a"
    ambient.mesh/dataplane-mode:   <ambeint|ambient>   # in the mesh
`,
  ],
  [
    'AMB0102',
    `{apiVersion: v1, kind: Service, metadata: {name: y, namespace: shop, labels: {ambient.mesh/use-waypoint: <waypiont|waypoint>}},
  spec: {selector: {app: cart}, ports: [{port: 80, name: 'http'}]}}
`,
  ],
  [
    'AMB0408',
    `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: canary, namespace: shop}
spec:
    parentRefs:
        - {group: "", kind: Service, name: cart}
    rules:
        - backendRefs:
            - name: "<crat|cart>"
              port: 80     # the only one
`,
  ],
  [
    'AMB0508',
    `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bare, namespace: shop}
spec:
  hosts: [bare]
  http:
  - route:
    - destination: {host: '<crat|cart>.shop.svc.cluster.local' , port: {number: 80}}
`,
  ],
  [
    'AMB1001',
    `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: closed
  namespace: shop
spec:
  action: DENY
  selector:
    matchLabels:
      app: <cartt|cart>
  rules: [{}]
`,
  ],
  [
    'AMB1004',
    `apiVersion: v1
kind: Service
metadata: {namespace: shop, name: named}
spec:
  selector: {app: cart}
  ports:
  - targetPort: <wbe2|web2>
    port: 81
`,
  ],
  [
    'AMB1005',
    `apiVersion: v1
kind: Service
metadata: {name: said, namespace: shop, labels: {ambient.mesh/use-waypoint: waypoint}}
spec:
  selector: {app: cart}
  ports:
  - name: my-http       # says it
    port: 8080<|
    appProtocol: http>
`,
  ],
  [
    'AMB1035',
    `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: old, namespace: shop}
spec:
  <targetRef|targetRefs>:   # whom
    # the cart
    <|- >group: ""
    <|  >kind: Service   # of shop
    <|  >name: "cart"
  # and more
  rules: [{}]
`,
  ],
  [
    'AMB1035',
    `{apiVersion: security.istio.io/v1, kind: RequestAuthentication, metadata: {name: old, namespace: shop}, spec: {
  "<targetRef|targetRefs>": <|[>{group: "", kind: Service,
    name: cart}<|]>, jwtRules: [{issuer: a, jwks: '{"keys":[]}'}]}}
`,
  ],
  [
    'AMB1016',
    `apiVersion: security.istio.io/<v1beta1|v1> # old
kind: PeerAuthentication
metadata: {name: default, namespace: shop}
spec: {mtls: {mode: PERMISSIVE}}
`,
  ],
  [
    'AMB1018',
    `apiVersion: v1
kind: Service
metadata:
  name: labelled
  namespace: shop
  labels:
    istio.io/use-<waypont|waypoint>: waypoint
spec: {selector: {app: cart}, ports: [{name: http, port: 80}]}
`,
  ],
];

/** A pod with a second port, beside the shop. */
const base = `${shop}{apiVersion: v1, kind: Pod, metadata: {name: two, namespace: shop, labels: {app: cart}}, spec: {containers: [{name: c, image: i, ports: [{name: web2, containerPort: 81}]}]}}\n`;

const written = (text: string, isRight: boolean): string =>
  text.replace(/<([^|>]*)\|([^>]*)>/g, (_, wrong, right) => (isRight ? right : wrong));

function codesIn(text: string): string[] {
  const { resources, unused, errors } = readLeniently([
    { text: base, file: 'shop.yaml' },
    { text, file: 'case.yaml' },
  ]);
  const found = analyze({ resources, unused, unreadable: errors.map(issueOf) });
  return found.map(({ code, kind, name, field }) => `${code} ${kind} ${name} ${field}`);
}

const mend = (text: string) =>
  fixManifests([
    { text: base, file: 'shop.yaml' },
    { text, file: 'case.yaml' },
  ]);

for (const [code, template] of templates) {
  test(`--fix mends ${code}, and nothing else`, () => {
    const wrong = written(template, false);
    assert.ok(
      codesIn(wrong).some((one) => one.startsWith(code)),
      JSON.stringify(codesIn(wrong)),
    );
    const { texts, fixed } = mend(wrong);
    assert.deepEqual(
      fixed.map(({ finding }) => finding.code),
      [code],
    );
    assert.equal(texts[0]?.text, base);
    assert.equal(texts[1]?.text, written(template, true));
    assert.equal(mend(texts[1]?.text ?? '').fixed.length, 0);
  });
}

test('of many documents, with any ends of lines and comments between, only what is wrong changes', () => {
  const part = fc.record({ wrong: fc.boolean(), comment: fc.constantFrom('', '# a: b\n', '\n# "x\n\n') });
  const file = fc.record({
    parts: fc.tuple(...templates.map(() => part)),
    isCrlf: fc.boolean(),
    isBroken: fc.boolean(),
    hasEnd: fc.boolean(),
  });
  fc.assert(
    fc.property(file, ({ parts, isCrlf, isBroken, hasEnd }) => {
      const join = (isMended: boolean): string => {
        const documents = parts.map(({ wrong, comment }, at) => {
          return `${comment}${written(templates[at]?.[1] ?? '', isMended || !wrong)}`;
        });
        // What cannot be read, and is no object of the mesh, stays as it is.
        if (isBroken)
          documents.push('apiVersion: security.istio.io/v1\nkind: AuthorizationPolicies\nmetadata: {name: crat}\n');
        const text = documents.join('---\n').slice(0, hasEnd ? undefined : -1);
        return isCrlf ? text.replaceAll('\n', '\r\n') : text;
      };
      const before = codesIn(join(false));
      const { texts, fixed } = mend(join(false));
      assert.equal(texts[1]?.text, join(true));
      assert.equal(fixed.length, parts.filter(({ wrong }) => wrong).length);
      const after = codesIn(texts[1]?.text ?? '');
      assert.deepEqual(
        after.filter((one) => !before.includes(one)),
        [],
      );
    }),
    { numRuns: 12 },
  );
});

const left: readonly (readonly [what: string, text: string, reason: RegExp])[] = [
  [
    'a name that another version may have',
    '{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: x, namespace: shop}, spec: {parentRefs: [{group: "", kind: Service, name: cart}], rules: [{backendRefs: [{name: cart-v2, port: 80}]}]}}',
    /more than one way/,
  ],
  [
    'who is let in',
    '{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: x, namespace: shop}, spec: {rules: [{from: [{source: {serviceAccounts: [crat]}}]}]}}',
    /people to decide/,
  ],
  [
    'what cannot be read',
    '{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: x}, spec: {acton: DENY}}',
    /not touched/,
  ],
  [
    'what an anchor shares',
    'apiVersion: v1\nkind: Service\nmetadata: {name: x, namespace: shop, labels: {team: &name carrt}}\nspec:\n  selector: {app: *name}\n  ports: [{name: http, port: 80}]',
    /an anchor shares it/,
  ],
  [
    'what is written in two lines',
    'apiVersion: v1\nkind: Service\nmetadata: {name: x, namespace: shop}\nspec:\n  selector:\n    app: >-\n      carrt\n  ports: [{name: http, port: 80}]',
    /not written as it reads|somewhere else/,
  ],
];

for (const [what, text, reason] of left) {
  test(`--fix leaves ${what}, and says why`, () => {
    const result = mend(text);
    assert.equal(result.texts[1]?.text, text);
    assert.match(result.left.map((one) => one.reason).join('\n'), reason);
  });
}

test('JSON stays JSON', () => {
  const ports = '[{"name": "web-http", "port": 80}]';
  const head = '"metadata": {"name": "x", "namespace": "shop", "labels": {"ambient.mesh/use-waypoint": "waypoint"}}';
  const spec = `{"selector": {"app": "carrt"}, "ports": ${ports}}`;
  const text = `{"apiVersion": "v1", "kind": "Service", ${head},\n "spec": ${spec}}`;
  const right = text.replace('carrt', 'cart').replace('80}', '80, "appProtocol": "http"}');
  assert.equal(mend(text).texts[1]?.text, right);
  assert.doesNotThrow(() => JSON.parse(right));
});

test('of the rows of all codes, those are mended that docs/findings says', () => {
  const mended = new Set<string>();
  for (const { bad, edges } of [...objectRows, ...acrossRows]) {
    const texts = [
      { text: shop, file: 'shop.yaml' },
      { text: bad, file: 'case.yaml' },
    ];
    const result = fixManifests(texts, { edges: edges ?? [] });
    assert.equal(result.texts[0]?.text, shop);
    if (result.fixed.length === 0) assert.equal(result.texts[1]?.text, bad);
    for (const { finding } of result.fixed) mended.add(finding.code);
    assert.deepEqual(fixManifests(result.texts, { edges: edges ?? [] }).fixed, []);
  }
  const page = readFileSync(path.join(import.meta.dirname, '../../docs/findings/README.md'), 'utf8');
  const table = page.slice(page.indexOf('## What is mended'), page.indexOf('Never mended'));
  assert.deepEqual([...mended].sort(), [...table.matchAll(/AMB\d+/g)].map(([code]) => code).sort());
});
