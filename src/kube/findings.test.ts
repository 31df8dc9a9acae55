import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { MeshCompiler } from '../model/compiler.ts';
import { toldIssue } from '../model/issues.ts';
import { type Resource, resourceKey } from '../model/resources.ts';
import type { ResourceIssue } from '../model/types.ts';
import type { KubeObject } from './api/prune.ts';
import { findingsIn, refusalOf } from './findings.ts';
import { readManifests } from './manifests.ts';

const folders = ['../../test/fixtures/routes', '../../deploy/samples/shop', '../../deploy/samples/shop-waypoint'];
const newCompiler = (): MeshCompiler =>
  new MeshCompiler({
    trustDomain: 'cluster.local',
    clusterId: 'Kubernetes',
    clusterDomain: 'cluster.local',
    rootNamespaces: ['ambient-system', 'istio-system'],
    expandTemplates: true,
  });

/** Findings of every severity, about every kind that has some. */
const odd = `
apiVersion: v1
kind: Namespace
metadata: {name: odd, labels: {ambient.mesh/dataplane-mode: ambeint}}
---
apiVersion: v1
kind: Service
metadata: {namespace: odd, name: pay}
spec: {selector: {app: pay}, ports: [{port: 80}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {namespace: odd, name: get}
spec: {action: ALLOW, rules: [{to: [{operation: {methods: [GET]}}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {namespace: odd, name: lost}
spec: {targetRefs: [{kind: Service, name: nobody}, {kind: Service, group: "", name: pay}], rules: [{}]}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {namespace: odd, name: tokens}
spec: {selector: {matchLabels: {app: pay}}, jwtRules: [{issuer: a}]}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {namespace: odd, name: old, creationTimestamp: "2026-01-01T00:00:00Z"}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {namespace: odd, name: new, creationTimestamp: "2026-02-01T00:00:00Z"}
spec: {mtls: {mode: STRICT}, portLevelMtls: {"80": {mode: DISABLE}}}
---
apiVersion: ambient.mesh/v1alpha1
kind: CertificateRevocation
metadata: {namespace: odd, name: far}
spec: {serials: [ab]}
---
apiVersion: ambient.mesh/v1alpha1
kind: TrafficPolicy
metadata: {namespace: odd, name: first, creationTimestamp: "2026-01-01T00:00:00Z"}
spec: {targetRefs: [{kind: Service, name: pay}], timeouts: {idle: 5s}}
---
apiVersion: ambient.mesh/v1alpha1
kind: TrafficPolicy
metadata: {namespace: odd, name: second, creationTimestamp: "2026-02-01T00:00:00Z"}
spec: {targetRefs: [{kind: Service, name: pay}, {kind: HTTPRoute, name: r}], healthPaths: [/h]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {namespace: odd, name: r}
spec: {parentRefs: [{group: "", kind: Service, name: pay, port: 81}], rules: [{backendRefs: [{name: gone, port: 80}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {namespace: odd, name: waypoint}
spec: {gatewayClassName: ambient-waypoint, listeners: [{name: a, port: 80, protocol: HTTP}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {namespace: odd, name: v}
spec:
  hosts: [pay, nobody]
  http: [{route: [{destination: {host: pay, subset: v9}}]}, {route: [{destination: {host: pay}}]}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {namespace: odd, name: d}
spec: {host: pay, subsets: [{name: v1, labels: {version: v1}}]}
`;

function everything(): Resource[] {
  const files = folders.flatMap((folder) => {
    const dir = path.join(import.meta.dirname, folder);
    return readdirSync(dir)
      .filter((name) => name.endsWith('.yaml'))
      .map((name) => path.join(dir, name));
  });
  const texts = [...files.map((file) => ({ file, text: readFileSync(file, 'utf8') })), { file: 'odd', text: odd }];
  const found = new Map<string, Resource>();
  // Some files have an object twice, to choose from.
  const documents = texts.flatMap(({ file, text }) => text.split(/^---$/m).map((part) => ({ file, text: part })));
  for (const one of documents) for (const each of readManifests([one]).resources) found.set(resourceKey(each), each);
  return [...found.values()];
}

const texts = (issues: readonly ResourceIssue[]): string[] => issues.map((issue) => JSON.stringify(issue)).sort();

test('what is found in one object among all others is what the compiler finds, and leaves no trace', () => {
  const resources = everything();
  const compiler = newCompiler();
  for (const one of resources) compiler.upsert(one);
  compiler.flush();
  const all = compiler.rawIssues().map((issue) => toldIssue(issue, compiler.namesOf, false));
  const mesh = compiler.mesh();
  let count = 0;
  for (const resource of resources) {
    const own = all.filter((issue) => resourceKey(issue) === resourceKey(resource));
    // What else is said of pods and services is about the waypoints that they name.
    if (['Pod', 'Service'].includes(resource.kind) || resource.kind.endsWith('Set')) continue;
    assert.deepEqual(texts(compiler.findingsAbout(resource)), texts(own), resourceKey(resource));
    count += own.length;
  }
  assert.ok(count > 20, String(count));
  for (const severity of ['error', 'warning', 'info']) assert.ok(all.some((issue) => issue.severity === severity));
  const { update, issues } = compiler.flush();
  const { complete: _, ...lists } = update;
  assert.ok(
    Object.values(lists).every((list) => (list as readonly unknown[]).length === 0),
    JSON.stringify(update),
  );
  assert.deepEqual(issues, []);
  assert.deepEqual(compiler.mesh(), mesh);
});

test('an object that is not there yet is judged among those that are', () => {
  const resources = everything();
  const whole = newCompiler();
  for (const one of resources) whole.upsert(one);
  whole.flush();
  for (const resource of resources.filter((one) => one.namespace === 'odd' && one.kind !== 'Service')) {
    const others = newCompiler();
    for (const one of resources) if (one !== resource) others.upsert(one);
    others.flush();
    assert.deepEqual(texts(others.findingsAbout(resource)), texts(whole.findingsAbout(resource)), resource.name);
  }
});

test('the name that is nearly known is told to whoever has an object judged, and no list of names', () => {
  const compiler = newCompiler();
  for (const one of everything()) compiler.upsert(one);
  compiler.flush();
  const spec = { parentRefs: [{ group: '', kind: 'Service', name: 'pey' }] };
  const metadata = { name: 'r', namespace: 'odd' };
  const object = { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'HTTPRoute', metadata, spec } as KubeObject;
  const found = findingsIn(object, compiler).findings.find(({ code }) => code === 'AMB0404');
  assert.equal(found?.message, 'Service odd/pey is not there');
  assert.equal(found.fix, 'the route does nothing for this parent; did you mean pay?');
  assert.equal('sought' in found, false);
});

const refusals: readonly (readonly [what: string, object: string, message: string])[] = [
  [
    'a word that is none',
    '{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: a}, spec: {action: DENNY}}',
    'AuthorizationPolicy "a" is invalid: spec.action: must be one of ALLOW, DENY, AUDIT, CUSTOM, not "DENNY"; did you mean DENY?',
  ],
  [
    'a field of a list that nobody knows',
    '{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: a}, spec: {rules: [{form: []}]}}',
    'AuthorizationPolicy "a" is invalid: spec.rules[0].form: is no known field; did you mean from?',
  ],
  [
    'a condition that cannot be kept',
    '{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: a}, spec: {rules: [{to: [{operation: {methods: [GET]}}]}]}}',
    'AuthorizationPolicy "a" is invalid: spec.rules[0].to[0].operation.methods: rule 0: ',
  ],
];

for (const [what, text, message] of refusals) {
  test(`as an API server refuses it: ${what}`, () => {
    const object = parseAllDocuments(text)[0]!.toJS() as KubeObject;
    const { findings: errors } = findingsIn(object, newCompiler());
    const refusal = refusalOf(object.kind!, object.metadata.name, errors);
    assert.equal(refusal.message.slice(0, message.length), message);
    const [cause] = refusal.details.causes;
    assert.ok(cause !== undefined && refusal.message.endsWith(`${cause.field}: ${cause.message}`));
  });
}
