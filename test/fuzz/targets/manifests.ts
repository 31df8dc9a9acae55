// Manifests as people write them: text to resources to a compiled mesh, or an error with its place.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { readManifests } from '../../../src/kube/manifests.ts';
import { MeshCompiler } from '../../../src/model/compiler.ts';
import { MeshIndex } from '../../../src/model/mesh-index.ts';
import { broken, type FuzzTarget } from '../target.ts';
import { lineMutation, withoutTalk } from './yaml-lines.ts';

const sample = (name: string): string =>
  readFileSync(path.join(import.meta.dirname, '..', '..', '..', 'deploy', 'samples', 'shop', name), 'utf8');

const pod = `apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: web, labels: {app: web}}
spec: {serviceAccountName: web, nodeName: node-1, containers: [{name: c, ports: [{name: http, containerPort: 80}]}]}
status: {phase: Running, podIPs: [{ip: 10.244.1.2}, {ip: "fd00::2"}], conditions: [{type: Ready, status: "True"}]}
`;
const policy = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {namespace: shop, name: p}
spec:
  selector: {matchLabels: {app: web}}
  action: DENY
  rules:
  - from: [{source: {principals: ["*/sa/web"], ipBlocks: [10.0.0.0/8], notNamespaces: [x]}}]
    to: [{operation: {ports: ["80"], methods: [GET]}}]
    when: [{key: source.namespace, values: [a]}]
`;
const strict = `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {namespace: shop, name: default}
spec: {mtls: {mode: STRICT}, portLevelMtls: {"80": {mode: DISABLE}}}
`;
const slice = `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {namespace: shop, name: s, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 80}]
endpoints: [{addresses: [10.1.1.1], conditions: {ready: true}, targetRef: {kind: Pod, name: web}}]
`;
const service = `apiVersion: v1
kind: Service
metadata: {namespace: shop, name: web}
spec: {clusterIP: 10.96.0.1, selector: {app: web}, ports: [{port: 80, targetPort: http}]}
`;
const json = JSON.stringify({
  apiVersion: 'v1',
  kind: 'List',
  items: [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } }],
});

const words = `
apiVersion kind metadata namespace name labels annotations spec status selector matchLabels rules from to
when source operation principals ports ports: port targetPort clusterIP clusterIPs None mtls mode STRICT
PERMISSIVE key values podIPs ip 10.0.0.0/8 ::/0 fd00::1 True Ready Node Service List items null ~ true 1
-1 1e999 0x10 "" '' [] {} & * &a *a <<: - : , | > # --- ... %YAML !!binary !!set __proto__ constructor
toString 2026-01-01T00:00:00Z`
  .trim()
  .split(/\s+/);

/** Compiles what was read, and takes the outcome into a mesh as a node proxy does. */
function compile(set: ReturnType<typeof readManifests>): string {
  const compiler = new MeshCompiler({
    trustDomain: 'cluster.local',
    clusterId: 'Kubernetes',
    clusterDomain: 'cluster.local',
    rootNamespaces: ['ambient-system'],
    expandTemplates: true,
  });
  for (const resource of set.resources) compiler.upsert(resource);
  const { update, issues } = compiler.flush();
  new MeshIndex().apply(update);
  for (const { kind, namespace, name } of set.resources) compiler.delete(kind, namespace, name);
  compiler.flush();
  const { workloads, services, policies } = compiler.mesh();
  if (workloads.length + services.length + policies.length > 0) broken('something is left of a mesh without objects');
  const found = set.resources.map(({ kind }) => kind);
  const said = issues.map(({ message }) => message.replaceAll(/"[^"]*"|\d+/g, '#').slice(0, 60));
  return [...new Set(found)].sort().slice(0, 3).join(' ') + [...new Set(said)].sort().slice(0, 2).join(' ');
}

export const manifestsTarget: FuzzTarget = {
  name: 'manifests',
  seeds: [
    pod,
    policy,
    strict,
    slice,
    service,
    json,
    sample('01-namespaces.yaml'),
    `${pod}---\n${service}---\n${policy}`,
  ],
  words,
  bytesMax: 1024,
  quickInputs: 4000,
  mutate: lineMutation(words, [policy, strict, slice, service, pod]),
  run: (input) => withoutTalk(() => compile(readManifests([{ text: input.toString('utf8'), file: 'fuzz.yaml' }]))),
};
