// A small mesh for benches that need the whole product: two nodes, an nginx as server, pods that wait to be clients.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { LabClient } from '../src/lab/control-client.ts';
import { enterCommand } from '../src/lab/enter.ts';
import { serverConfig } from './paths/nginx.ts';

/** Where the servers listen, and their services. */
export const benchPort = 8080;

export interface BenchMesh {
  readonly namespace: string;
  /** On `node-2`, each with a service of its name. */
  readonly servers: readonly string[];
  /** On `node-1`. */
  readonly clients: readonly string[];
}

/** Its objects, as YAML; files of the servers go below `folder`. */
export function benchManifests(folder: string, { namespace, servers, clients }: BenchMesh): string {
  const metadata = (name: string) => ({ name, namespace, labels: { app: name } });
  const pod = (name: string, nodeName: string, command: readonly string[]): object => {
    const ports = [{ name: 'http', containerPort: benchPort }];
    const spec = { nodeName, containers: [{ name: 'main', image: 'none', command, ports }] };
    return { apiVersion: 'v1', kind: 'Pod', metadata: metadata(name), spec };
  };
  const nodes = ['node-1', 'node-2'].map((name) => ({ apiVersion: 'v1', kind: 'Node', metadata: { name } }));
  const labels = { 'ambient.mesh/dataplane-mode': 'ambient' };
  const serving = servers.flatMap((name) => {
    const dir = path.join(folder, name);
    mkdirSync(dir);
    const ports = [{ name: 'http', port: benchPort, targetPort: benchPort }];
    const service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: metadata(name),
      spec: { selector: { app: name }, ports },
    };
    return [pod(name, 'node-2', serverConfig(dir, `0.0.0.0:${benchPort}`)), service];
  });
  const waiting = clients.map((name) => pod(name, 'node-1', ['sleep', 'infinity']));
  const space = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } };
  return [...nodes, space, ...serving, ...waiting].map((each) => `---\n${JSON.stringify(each)}\n`).join('');
}

/** The command line that runs `argv` in a pod. */
export async function inPod(lab: LabClient, { namespace }: BenchMesh, name: string, argv: readonly string[]) {
  const target = await lab.target('pod', namespace, name);
  return { ...enterCommand(target, argv), env: { ...process.env, ...target.env } };
}
