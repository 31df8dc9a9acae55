// For tests: from manifests as a person writes them to the compiled mesh.
import assert from 'node:assert/strict';
import { MeshCompiler } from '../model/compiler.ts';
import { MeshIndex } from '../model/mesh-index.ts';
import type { Policy, ResourceIssue, Workload } from '../model/types.ts';
import { readManifests } from './manifests.ts';

export interface CompiledText {
  readonly compiler: MeshCompiler;
  readonly index: MeshIndex;
  readonly issues: readonly ResourceIssue[];
  workload(name: string): Workload;
  policy(key: string): Policy | null;
}

/** Compiles manifests. `expandTemplates` is on unless said otherwise. */
export function compileText(text: string, expandTemplates = true): CompiledText {
  const compiler = new MeshCompiler({
    trustDomain: 'cluster.local',
    clusterId: 'Kubernetes',
    clusterDomain: 'cluster.local',
    rootNamespaces: ['ambient-system', 'istio-system'],
    expandTemplates,
  });
  for (const resource of readManifests([{ text, file: 'test.yaml' }]).resources) compiler.upsert(resource);
  const { issues } = compiler.flush();
  const mesh = compiler.mesh();
  const index = new MeshIndex();
  index.apply(compiler.snapshot());
  return {
    compiler,
    index,
    issues,
    workload: (name) => mesh.workloads.find((one) => one.name === name) ?? missing(name),
    policy: (key) => mesh.policies.find((one) => `${one.namespace}/${one.name}` === key) ?? null,
  };
}

/**
 * A running, ready pod `NAMESPACE/NAME` as a manifest in flow style; `more` goes into its metadata, `spec` into its
 * spec.
 */
export function podText(title: string, ip: string, more = '', spec = ''): string {
  const [namespace, name] = title.split('/');
  return `---
apiVersion: v1
kind: Pod
metadata: {namespace: ${namespace}, name: ${name}${more === '' ? '' : `, ${more}`}}
spec: {serviceAccountName: ${name}, nodeName: node-1${spec === '' ? '' : `, ${spec}`}}
status: {phase: Running, podIPs: [{ip: "${ip}"}], conditions: [{type: Ready, status: "True"}]}
`;
}

function missing(name: string): never {
  return assert.fail(`no workload ${name}`);
}
