// From manifests to who goes through which waypoint.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshCompiler } from '../model/compiler.ts';
import type { Resource } from '../model/resources.ts';
import { evaluate } from '../policy/evaluate.ts';
import { readManifests } from './manifests.ts';
import { compileText, podText } from './testing-compile.ts';

const at = { hostname: { namespace: 'shop', hostname: 'wp.shop.svc.cluster.local' }, hbonePort: 15008 };
const use = 'ambient.mesh/use-waypoint';

function gatewayText(more: { labels?: string; from?: string; className?: string; port?: number; name?: string } = {}) {
  const { labels = '', from = 'Same', className = 'ambient-waypoint', port = 15008, name = 'wp' } = more;
  return `---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {namespace: shop, name: ${name}, labels: {${labels}}}
spec:
  gatewayClassName: ${className}
  listeners: [{name: mesh, port: ${port}, protocol: HBONE, allowedRoutes: {namespaces: {from: ${from}}}}]
`;
}

function namespaceText(name: string, labels: string): string {
  return `---\napiVersion: v1\nkind: Namespace\nmetadata: {name: ${name}, labels: {${labels}}}\n`;
}

function serviceText(title: string, metadata = '', spec = ''): string {
  const [namespace, name] = title.split('/');
  return `---
apiVersion: v1
kind: Service
metadata: {namespace: ${namespace}, name: ${name}${metadata === '' ? '' : `, ${metadata}`}}
spec: {clusterIP: 10.96.0.9, selector: {app: ${name}}, ports: [{port: 80, targetPort: 8080}]${spec}}
`;
}

// [what, labels of the namespace, of the service, of the pod, the Gateway, service bound, workload bound, issues]
const rows = [
  ['nothing named', '', '', '', gatewayText(), false, false, 0],
  ['on the namespace', `${use}: wp`, '', '', gatewayText(), true, false, 0],
  [
    "Istio's label and class",
    'istio.io/use-waypoint: wp',
    '',
    '',
    gatewayText({ className: 'istio-waypoint' }),
    true,
    false,
    0,
  ],
  ['on the service', '', `${use}: wp`, '', gatewayText(), true, false, 0],
  ['the service opts out', `${use}: wp`, `${use}: none`, '', gatewayText(), false, false, 0],
  ['ours before theirs', '', `${use}: none, istio.io/use-waypoint: wp`, '', gatewayText(), false, false, 0],
  ['for all', `${use}: wp`, '', '', gatewayText({ labels: 'ambient.mesh/waypoint-for: all' }), true, true, 0],
  ['for workloads', `${use}: wp`, '', '', gatewayText({ labels: 'istio.io/waypoint-for: workload' }), false, true, 0],
  ['a pod names one for services', '', '', `${use}: wp`, gatewayText(), false, false, 1],
  [
    'a service names one for workloads',
    '',
    `${use}: wp`,
    '',
    gatewayText({ labels: 'ambient.mesh/waypoint-for: workload' }),
    false,
    false,
    1,
  ],
  ['no such Gateway', '', `${use}: other`, '', gatewayText(), false, false, 1],
  ['another class', '', `${use}: wp`, '', gatewayText({ className: 'nginx' }), false, false, 1],
  ['no listener for the mesh', '', `${use}: wp`, '', gatewayText({ port: 80 }), false, false, 2],
] as const;
for (const [what, namespace, service, pod, gateway, isService, isWorkload, issues] of rows) {
  test(`waypoint: ${what}`, () => {
    const mesh = compileText(
      namespaceText('shop', namespace) +
        gateway +
        serviceText('shop/web', `labels: {${service}}`) +
        podText('shop/web-1', '10.1.0.1', `labels: {app: web${pod === '' ? '' : `, ${pod}`}}`),
    );
    const [web] = mesh.compiler.mesh().services;
    assert.deepEqual(web?.waypoint, isService ? at : null);
    assert.deepEqual(mesh.workload('web-1').waypoint, isWorkload ? at : null);
    assert.equal(mesh.issues.length, issues, JSON.stringify(mesh.issues));
  });
}

test('a waypoint of another namespace has to admit it', () => {
  const other = `labels: {${use}: wp, ${use}-namespace: shop}`;
  const bound = (from: string) => {
    const mesh = compileText(gatewayText({ from }) + serviceText('bank/web', other));
    return mesh.compiler.mesh().services[0]?.waypoint ?? null;
  };
  assert.equal(bound('Same'), null);
  assert.deepEqual(bound('All'), at);
});

test('the pods and the Service of a waypoint are its own: native, and before no other waypoint', () => {
  const label = 'gateway.networking.k8s.io/gateway-name: wp';
  const mesh = compileText(
    namespaceText('shop', `${use}: wp`) +
      gatewayText({ labels: 'ambient.mesh/waypoint-for: all' }) +
      serviceText('shop/wp', `labels: {${label}}`) +
      podText('shop/wp-1', '10.1.0.2', `labels: {app: wp, ${label}}`),
  );
  const pod = mesh.workload('wp-1');
  assert.deepEqual([pod.nativeTunnel, pod.tunnelProtocol, pod.waypoint], [true, 'HBONE', null]);
  assert.equal(mesh.compiler.mesh().services[0]?.waypoint, null);
});

test('a service that demands its waypoint: its endpoints refuse everybody else, and all when there is none', () => {
  const demand = `annotations: {ambient.mesh/require-waypoint: "true"}, labels: {${use}: wp}`;
  const pod = podText('shop/web-1', '10.1.0.1', 'labels: {app: web, ambient.mesh/dataplane-mode: ambient}');
  const ask = (text: string, sourceIdentity: string | null, destinationPort: number) => {
    const mesh = compileText(text);
    const facts = { sourceIdentity, sourceIp: '10.1.0.7', destinationIp: '10.1.0.1', destinationPort };
    return evaluate(mesh.index.policiesFor(mesh.workload('web-1')), facts);
  };
  const text = gatewayText() + serviceText('shop/web', demand) + pod;
  const waypoint = 'spiffe://cluster.local/ns/shop/sa/wp';
  assert.equal(ask(text, waypoint, 8080).allowed, true);
  const refused = ask(text, 'spiffe://cluster.local/ns/shop/sa/client', 8080);
  assert.equal(refused.allowed, false);
  assert.deepEqual(refused.decidedBy, { kind: 'Service', namespace: 'shop', name: 'web', rule: null });
  assert.equal(ask(text, null, 8080).allowed, false, 'plaintext');
  for (const other of ['shop/sa/other-wp', 'edge/sa/wp', 'shop/sa/web']) {
    const identity = `spiffe://cluster.local/ns/${other}`;
    assert.equal(
      ask(text + gatewayText({ name: 'other-wp' }), identity, 8080).allowed,
      false,
      `${other} is not its waypoint`,
    );
  }
  assert.equal(ask(text, null, 9090).allowed, true, 'a port that is not of the service');
  assert.equal(ask(serviceText('shop/web', demand) + pod, waypoint, 8080).allowed, false, 'no waypoint');
});

test('a Gateway that comes, goes, or gets its address changes who is bound, with no other change', () => {
  const text =
    serviceText('shop/web', `labels: {${use}: wp}`) +
    gatewayText() +
    serviceText('shop/wp', 'labels: {gateway.networking.k8s.io/gateway-name: wp}');
  const resources = new Map<string, Resource>(
    readManifests([{ text, file: 'test.yaml' }]).resources.map((one) => [`${one.kind} ${one.name}`, one]),
  );
  const compiler = new MeshCompiler({
    trustDomain: 'cluster.local',
    clusterId: 'Kubernetes',
    clusterDomain: 'cluster.local',
    rootNamespaces: ['ambient-system'],
    expandTemplates: false,
  });
  const put = (key: string) => {
    compiler.upsert(resources.get(key)!);
    const { update, issues } = compiler.flush();
    return { web: update.services.find(({ name }) => name === 'web'), issues: issues.length };
  };
  const bound = (result: ReturnType<typeof put>) => result.web?.waypoint ?? null;
  assert.equal(bound(put('Service web')), null);
  const unprogrammed = put('Gateway wp');
  assert.equal(unprogrammed.web, undefined, 'nothing has changed yet');
  assert.equal(unprogrammed.issues, 1, 'it has no address');
  assert.deepEqual(bound(put('Service wp')), at);
  assert.equal(compiler.issues().length, 0);
  compiler.delete('Gateway', 'shop', 'wp');
  assert.deepEqual(
    compiler.flush().update.services.map(({ name, waypoint }) => [name, waypoint]),
    [['web', null]],
  );
  assert.equal(compiler.issues().length, 1);
});

test('a Gateway says whether it is accepted, and whether a waypoint stands there', () => {
  const label = 'gateway.networking.k8s.io/gateway-name: wp';
  const service = serviceText('shop/wp', `labels: {${label}}`);
  const pod = podText('shop/wp-1', '10.1.0.2', `labels: {${label}}`);
  const said = (text: string) => {
    const [status] = compileText(text, false).compiler.statuses();
    return status?.conditions.map(({ type, status: value, reason }) => `${type}=${value} ${reason}`) ?? [];
  };
  assert.deepEqual(said(gatewayText()), ['Accepted=True Accepted', 'Programmed=False AddressNotAssigned']);
  assert.deepEqual(said(gatewayText() + service), ['Accepted=True Accepted', 'Programmed=False Pending']);
  assert.deepEqual(said(gatewayText() + service + pod), ['Accepted=True Accepted', 'Programmed=True Programmed']);
  assert.deepEqual(said(gatewayText({ port: 80 }) + service + pod), [
    'Accepted=False Invalid',
    'Programmed=False Invalid',
  ]);
  assert.deepEqual(said(gatewayText({ className: 'nginx' })), []);
  const [status] = compileText(gatewayText() + service + pod, false).compiler.statuses();
  assert.deepEqual(status?.addresses, [{ type: 'IPAddress', value: '10.96.0.9' }]);
});
